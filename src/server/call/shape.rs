//! What each call may send, read from the contract.

use std::collections::{HashMap, HashSet};

use prost::{DecodeError, Message};
use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::wire::DESCRIPTORS;

/// The largest request without a list in it, in bytes: its few texts fit many times over.
const SMALL: usize = 64 * 1024;

/// What a call may send, and for how long it may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shape {
    /// The largest request; `None` for as large as the server takes any.
    pub(super) most_bytes: Option<usize>,
    /// Whether its answer comes bit by bit, for as long as its caller wants.
    pub(super) stream: bool,
    /// Whether its caller may send message after message.
    pub(super) many_messages: bool,
}

/// The shapes of all calls by their paths.
#[derive(Debug)]
pub(super) struct Shapes(HashMap<String, Shape>);

impl Shapes {
    /// Those of the contract, health and reflection.
    pub(super) fn read() -> Result<Self, DecodeError> {
        let mut files = Vec::new();
        for bytes in [
            DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        ] {
            files.extend(FileDescriptorSet::decode(bytes)?.file);
        }
        let mut messages = HashMap::new();
        for file in &files {
            for message in &file.message_type {
                name(&mut messages, file.package(), message);
            }
        }
        let mut shapes = HashMap::new();
        for file in &files {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let lists = has_list(&messages, method.input_type(), &mut HashSet::new());
                    let shape = Shape {
                        most_bytes: (!lists && !method.client_streaming()).then_some(SMALL),
                        stream: method.client_streaming() || method.server_streaming(),
                        many_messages: method.client_streaming(),
                    };
                    shapes.insert(path, shape);
                }
            }
        }
        Ok(Self(shapes))
    }

    /// The shape of the call of a path; one that is none of ours is turned away further in.
    pub(super) fn of(&self, path: &str) -> Shape {
        self.0.get(path).copied().unwrap_or_default()
    }
}

fn name<'a>(
    messages: &mut HashMap<String, &'a DescriptorProto>,
    within: &str,
    message: &'a DescriptorProto,
) {
    let full = format!("{within}.{}", message.name());
    for nested in &message.nested_type {
        name(messages, &full, nested);
    }
    messages.insert(format!(".{full}"), message);
}

/// Whether a message, or one within it, has a list or a map.
fn has_list<'a>(
    messages: &HashMap<String, &'a DescriptorProto>,
    of: &'a str,
    seen: &mut HashSet<&'a str>,
) -> bool {
    let Some(message) = messages.get(of) else {
        return false;
    };
    seen.insert(of)
        && message.field.iter().any(|field| {
            field.label() == Label::Repeated || has_list(messages, field.type_name(), seen)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_filters_may_be_large_and_plain_reads_may_not() {
        let shapes = Shapes::read().unwrap();
        let of = |path| shapes.of(path);
        let small = Shape {
            most_bytes: Some(SMALL),
            ..Shape::default()
        };
        assert_eq!(of("/carteira.v1.CatalogService/GetClient"), small);
        assert_eq!(of("/grpc.health.v1.Health/Check"), small);
        let watch = Shape {
            stream: true,
            ..small
        };
        assert_eq!(of("/grpc.health.v1.Health/Watch"), watch);
        for path in [
            "/carteira.v1.TicketService/RecordSales",
            "/carteira.v1.CatalogService/BatchUpsertClients",
            // A list lies within its filter.
            "/carteira.v1.RecommendationService/ListOpportunities",
        ] {
            assert_eq!(of(path), Shape::default(), "{path}");
        }
        let sales = of("/carteira.v1.TicketService/StreamSales");
        assert!(sales.many_messages && sales.stream && sales.most_bytes.is_none());
    }
}
