//! The contract as its descriptors tell it: every call there is, and messages filled field by field. A
//! call that is added to the contract is in every test that walks it.

// Each test file is a crate of its own and needs a part of this.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::BTreeMap;

use carteira::wire::DESCRIPTORS;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// `/carteira.v1.Service/Method`
    pub path: String,
    /// The full name of its request.
    pub request: String,
}

impl Call {
    /// `Service/Method`
    pub fn name(&self) -> &str {
        self.path.trim_start_matches("/carteira.v1.")
    }
}

/// What a field is filled with.
#[derive(Debug, Clone)]
pub enum Fill {
    /// It is left out.
    Nothing,
    Text(String),
    /// Integers, truth values and enumerations.
    Whole(i64),
    Float(f64),
    /// For a message or a list: so many of it, each filled in turn.
    Times(usize),
}

/// All calls and messages.
#[derive(Debug, Clone)]
pub struct Contract {
    pub calls: Vec<Call>,
    messages: BTreeMap<String, DescriptorProto>,
}

/// Where a field stands: the short name of its message and its own.
pub type Place<'a> = (&'a str, &'a FieldDescriptorProto);

impl Contract {
    pub fn read() -> Self {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let mut messages = BTreeMap::new();
        let mut calls = Vec::new();
        for file in &files {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut messages);
            }
            for service in &file.service {
                for method in &service.method {
                    calls.push(Call {
                        path: format!("/{}.{}/{}", file.package(), service.name(), method.name()),
                        request: method.input_type().to_owned(),
                    });
                }
            }
        }
        Self { calls, messages }
    }

    /// A message with every field as `fill` says; a scalar in a list is asked for once a place.
    pub fn encode(&self, message: &str, fill: &mut dyn FnMut(Place<'_>) -> Fill) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(of) = self.messages.get(message) else {
            return out;
        };
        let short = message.rsplit('.').next().unwrap_or_default();
        for field in &of.field {
            let times = match (field.r#type(), field.label()) {
                (Type::Message, _) | (_, Label::Repeated) => match fill((short, field)) {
                    Fill::Times(times) => times,
                    _ => 0,
                },
                _ => 1,
            };
            let mut scalar = field.clone();
            scalar.set_label(Label::Optional);
            for _ in 0..times {
                match field.r#type() {
                    Type::Message => {
                        let inner = self.encode(field.type_name(), fill);
                        put_bytes(&mut out, field.number() as u32, &inner);
                    }
                    _ => put(&mut out, field, &fill((short, &scalar))),
                }
            }
        }
        out
    }

    /// The same message with one number of it, at any depth, replaced by each of the extremes: `(where,
    /// bytes)`.
    pub fn with_extremes(&self, message: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let Some(of) = self.messages.get(message) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for field in &of.field {
            let name = field.name();
            let number = field.number() as u32;
            match field.r#type() {
                Type::Message => {
                    let Some((from, to, inner)) = first(bytes, number) else {
                        continue;
                    };
                    for (place, changed) in self.with_extremes(field.type_name(), inner) {
                        let mut whole = bytes[..from].to_vec();
                        put_bytes(&mut whole, number, &changed);
                        whole.extend_from_slice(&bytes[to..]);
                        all.push((format!("{name}.{place}"), whole));
                    }
                }
                Type::Double | Type::Float => {
                    let floats = [
                        f64::NAN,
                        f64::INFINITY,
                        f64::NEG_INFINITY,
                        1e308,
                        -1e308,
                        f64::MIN_POSITIVE,
                        -0.0,
                    ];
                    for float in floats {
                        let mut whole = bytes.to_vec();
                        put(&mut whole, field, &Fill::Float(float));
                        all.push((format!("{name}={float}"), whole));
                    }
                }
                Type::String | Type::Bytes | Type::Bool => {}
                _ => {
                    for whole_number in [i64::MIN, i64::MAX, -1, i64::from(u32::MAX)] {
                        let mut whole = bytes.to_vec();
                        put(&mut whole, field, &Fill::Whole(whole_number));
                        all.push((format!("{name}={whole_number}"), whole));
                    }
                }
            }
        }
        all
    }
}

fn collect(
    within: &str,
    message: &DescriptorProto,
    messages: &mut BTreeMap<String, DescriptorProto>,
) {
    let name = format!("{within}.{}", message.name());
    for nested in &message.nested_type {
        collect(&name, nested, messages);
    }
    messages.insert(name, message.clone());
}

fn put(out: &mut Vec<u8>, field: &FieldDescriptorProto, fill: &Fill) {
    let number = field.number() as u32;
    match (fill, field.r#type()) {
        (Fill::Text(text), _) => put_bytes(out, number, text.as_bytes()),
        (Fill::Float(float), _) => {
            encode_key(number, WireType::SixtyFourBit, out);
            out.extend(float.to_le_bytes());
        }
        (Fill::Whole(whole), Type::Double) => {
            encode_key(number, WireType::SixtyFourBit, out);
            out.extend((*whole as f64).to_le_bytes());
        }
        (Fill::Whole(whole), _) => {
            encode_key(number, WireType::Varint, out);
            encode_varint(*whole as u64, out);
        }
        (Fill::Nothing | Fill::Times(_), _) => {}
    }
}

/// Appends a field that has a length.
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The first field of a number that has a length: where it begins and ends, and what is in it.
fn first(bytes: &[u8], wanted: u32) -> Option<(usize, usize, &[u8])> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let from = bytes.len() - rest.len();
        let (number, kind) = prost::encoding::decode_key(&mut rest).ok()?;
        match kind {
            WireType::Varint => {
                prost::encoding::decode_varint(&mut rest).ok()?;
            }
            WireType::SixtyFourBit => rest = rest.get(8..)?,
            WireType::ThirtyTwoBit => rest = rest.get(4..)?,
            WireType::LengthDelimited => {
                let length = prost::encoding::decode_varint(&mut rest).ok()? as usize;
                let (inner, after) = rest.split_at_checked(length)?;
                rest = after;
                if number == wanted {
                    return Some((from, bytes.len() - rest.len(), inner));
                }
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        }
    }
    None
}
