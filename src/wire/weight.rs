//! What a request would take in memory, counted on the wire before anything is unfolded.
//!
//! A repeated message may be empty: two bytes on the wire are then a whole struct in memory, and a request
//! within the limit of its size a hundred times that. So each field is counted at what it takes, lists
//! at their length, and what is over a limit is refused without being decoded.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::DESCRIPTORS;

/// The most items of a list in a request.
pub const MAX_ITEMS: usize = 10_000;
/// A request may unfold to so many bytes, four times the largest message by default, whatever its size. 10,000
/// sales with the longest ids take 9 MB.
const UNFOLDED_BYTES: usize = 32 * 1024 * 1024;
/// And to so many times its size, where messages may be larger.
const UNFOLDED_TIMES: usize = 4;
/// Memory of one message, without what it points to: at least that of the largest struct of a request.
const MESSAGE_BYTES: usize = 256;
/// Memory of one scalar in a list, or of a text without its bytes: its place and what the allocator
/// adds.
const SCALAR_BYTES: usize = 48;
/// The most messages in one another; requests have four.
const MAX_DEPTH: usize = 16;

/// A message as far as it is weighed.
#[derive(Debug, Default)]
struct Shape {
    /// By number.
    fields: Vec<Option<Field>>,
    /// Memory of one, without its lists, messages and the bytes of its texts.
    own_bytes: usize,
    /// Whether it holds lists or messages, so that one has to look inside.
    is_nested: bool,
}

#[derive(Debug)]
struct Field {
    name: String,
    repeated: bool,
    /// The message that it is, by its place among all.
    message: Option<usize>,
}

/// All messages of the contract.
#[derive(Debug, Default)]
struct Shapes {
    places: BTreeMap<String, usize>,
    shapes: Vec<Shape>,
}

static SHAPES: LazyLock<Shapes> = LazyLock::new(|| {
    // The descriptors are made when this crate is built; a test reads them.
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default();
    let mut messages = Vec::new();
    for file in &files.file {
        for message in &file.message_type {
            collect(&format!(".{}", file.package()), message, &mut messages);
        }
    }
    let names = messages.iter().map(|(name, _)| name.clone());
    let places: BTreeMap<String, usize> = names.zip(0..).collect();
    let shapes = messages.iter().map(|(_, of)| shape(of, &places));
    Shapes {
        shapes: shapes.collect(),
        places,
    }
});

fn collect<'a>(
    within: &str,
    message: &'a DescriptorProto,
    messages: &mut Vec<(String, &'a DescriptorProto)>,
) {
    let name = format!("{within}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, messages);
    }
    messages.push((name, message));
}

fn shape(of: &DescriptorProto, places: &BTreeMap<String, usize>) -> Shape {
    let mut shape = Shape {
        own_bytes: MESSAGE_BYTES,
        ..Shape::default()
    };
    for field in &of.field {
        let repeated = field.label() == Label::Repeated;
        let is_message = field.r#type() == Type::Message;
        shape.is_nested |= repeated || is_message;
        if field.r#type() == Type::String {
            shape.own_bytes += SCALAR_BYTES;
        }
        let number = field.number() as usize;
        if shape.fields.len() <= number {
            shape.fields.resize_with(number + 1, || None);
        }
        shape.fields[number] = Some(Field {
            name: field.name().to_owned(),
            repeated,
            message: places
                .get(field.type_name())
                .copied()
                .filter(|_| is_message),
        });
    }
    shape
}

/// Refuses a request that would take too much. `name` is the message's; what is no request is let through.
pub(super) fn check(name: &str, bytes: &[u8]) -> Result<(), Status> {
    if !name.ends_with("Request") {
        return Ok(());
    }
    let place = SHAPES.places.get(&format!(".carteira.v1.{name}"));
    match place.and_then(|place| SHAPES.shapes.get(*place)) {
        Some(shape) => {
            let most = UNFOLDED_BYTES.max(bytes.len().saturating_mul(UNFOLDED_TIMES));
            weigh(shape, bytes, None, &mut Weight { bytes: 0, most })
        }
        None => Ok(()),
    }
}

/// What has been counted, and what may be.
struct Weight {
    bytes: usize,
    most: usize,
}

/// Where a field stands.
struct Path<'a> {
    name: &'a str,
    within: Option<&'a Path<'a>>,
    depth: usize,
}

impl Path<'_> {
    fn text(&self) -> String {
        match self.within {
            None => self.name.to_owned(),
            Some(within) => format!("{}.{}", within.text(), self.name),
        }
    }

    fn refuse(&self, reason: &str) -> Status {
        let field = self.text();
        let text = format!("{field} {reason}");
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation(field, reason);
        Status::with_error_details(Code::InvalidArgument, text, details)
    }
}

/// Adds what a message takes. Bytes that are no message are left to the decoder, which says so.
fn weigh(
    shape: &Shape,
    mut bytes: &[u8],
    within: Option<&Path<'_>>,
    weight: &mut Weight,
) -> Result<(), Status> {
    let mut items = vec![0_usize; shape.fields.len()];
    while !bytes.is_empty() {
        let Ok((number, kind)) = decode_key(&mut bytes) else {
            break;
        };
        let number = number as usize;
        let length = match kind {
            WireType::Varint => match decode_varint(&mut bytes) {
                Ok(_) => 0,
                Err(_) => break,
            },
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => match decode_varint(&mut bytes) {
                Ok(length) => usize::try_from(length).unwrap_or(usize::MAX),
                Err(_) => break,
            },
            // What stands in a group is counted as if it stood here; the decoder passes over it.
            WireType::StartGroup | WireType::EndGroup => 0,
        };
        let Some((inner, rest)) = bytes.split_at_checked(length) else {
            break;
        };
        bytes = rest;
        let Some(Some(field)) = shape.fields.get(number) else {
            continue;
        };
        items[number] += 1;
        if field.repeated && items[number] > MAX_ITEMS {
            continue;
        }
        let has_length = kind == WireType::LengthDelimited;
        let of = field.message.and_then(|place| SHAPES.shapes.get(place));
        weight.bytes = weight.bytes.saturating_add(match of {
            Some(of) => of.own_bytes + length,
            // A packed list of numbers: up to eight bytes in memory for each on the wire.
            None if field.repeated && has_length => SCALAR_BYTES + length.saturating_mul(8),
            None => SCALAR_BYTES + length,
        });
        let path = Path {
            name: &field.name,
            within,
            depth: within.map_or(0, |within| within.depth + 1),
        };
        if weight.bytes > weight.most {
            return Err(path.refuse(&format!(
                "and what stands before it take more than {} MiB in memory; send fewer or shorter items in one request",
                weight.most / (1024 * 1024)
            )));
        }
        if let Some(of) = of
            && of.is_nested
            && has_length
            && path.depth < MAX_DEPTH
        {
            weigh(of, inner, Some(&path), weight)?;
        }
    }
    for (field, count) in shape.fields.iter().zip(items) {
        if let Some(field) = field
            && field.repeated
            && count > MAX_ITEMS
        {
            let path = Path {
                name: &field.name,
                within,
                depth: 0,
            };
            let reason = format!("has {count} items; send at most {MAX_ITEMS} in one request");
            return Err(path.refuse(&reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec::read;
    use crate::wire::v1;

    #[test]
    fn every_request_of_the_contract_is_weighed() {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let calls = files.iter().flat_map(|file| &file.service);
        for call in calls.flat_map(|service| &service.method) {
            let input = call.input_type();
            assert!(
                input.ends_with("Request") && SHAPES.places.contains_key(input),
                "{input}"
            );
        }
    }

    #[test]
    fn a_struct_of_a_request_takes_no_more_than_it_is_weighed_at() {
        assert!(size_of::<v1::Client>() <= MESSAGE_BYTES);
        assert!(size_of::<v1::Product>() <= MESSAGE_BYTES);
        assert!(size_of::<v1::Sale>() <= MESSAGE_BYTES);
        assert!(size_of::<v1::Outcome>() <= MESSAGE_BYTES);
        assert!(size_of::<v1::AttributeFilter>() <= MESSAGE_BYTES);
        assert!(size_of::<(String, v1::AttributeValue)>() <= MESSAGE_BYTES);
    }

    #[test]
    fn the_largest_batches_that_are_meant_go_through() {
        let long = "x".repeat(128);
        let sale = v1::Sale {
            client_id: long.clone(),
            product_id: long.clone(),
            date: "2026-01-10".into(),
            amount_minor: i64::MAX,
            quantity: Some(1.0),
            sale_id: long,
        };
        let mut request = v1::RecordSalesRequest {
            sales: vec![sale; MAX_ITEMS],
            ..Default::default()
        };
        let bytes = request.encode_to_vec();
        assert_eq!(read::<v1::RecordSalesRequest>(&bytes).unwrap(), request);
        request.sales.push(v1::Sale::default());
        let refused = read::<v1::RecordSalesRequest>(&request.encode_to_vec()).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(
            refused.message().starts_with("sales has 10001 items"),
            "{refused}"
        );
    }

    #[test]
    fn what_unfolds_to_too_much_is_refused_before_it_does() {
        let client = v1::Client {
            excluded_product_ids: vec![String::new(); MAX_ITEMS],
            ..Default::default()
        };
        let request = v1::BatchUpsertClientsRequest {
            clients: vec![client; 100],
            ..Default::default()
        };
        let bytes = request.encode_to_vec();
        assert!(bytes.len() < 3 * 1024 * 1024, "{}", bytes.len());
        let refused = read::<v1::BatchUpsertClientsRequest>(&bytes).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("MiB in memory"), "{refused}");
    }
}
