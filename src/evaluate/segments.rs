//! Clients that have something in common: a category, or about the same size.

use std::collections::BTreeMap;

use crate::domain::{Attribute, ClientNo, Text};
use crate::matrix::TicketMatrix;

/// Values up to which an attribute parts a book into groups worth a look.
const MOST_VALUES: usize = 12;
/// Clients under which a group's figures are chance.
const LEAST_CLIENTS: usize = 10;
/// The thirds of the clients by what they spend.
const SIZES: [&str; 3] = ["small", "middle", "large"];

/// What stands in place of an attribute's name.
pub(super) const CLIENT_SIZE: &str = "client size";

/// A group of clients.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub(super) attribute: String,
    pub(super) value: String,
    /// Whether a client is in it, by client number.
    pub(super) members: Vec<bool>,
    /// Which third by size it is, if that is what it is: 0 the smallest.
    pub(super) third: Option<usize>,
}

/// Thirds by size, then each categorical attribute's values, by name.
///
/// Cost: the tickets, and the attributes.
pub(super) fn groups(
    matrix: &TicketMatrix,
    attributes: &[&BTreeMap<Text, Attribute>],
) -> Vec<Group> {
    let mut groups = by_size(matrix);
    let mut values: BTreeMap<&Text, BTreeMap<&Text, Vec<bool>>> = BTreeMap::new();
    for (client, attributes) in attributes.iter().enumerate() {
        for (name, value) in *attributes {
            let Attribute::Text(value) = value else {
                continue;
            };
            let none = || vec![false; matrix.clients()];
            let of_value = values.entry(name).or_default().entry(value);
            of_value.or_insert_with(none)[client] = true;
        }
    }
    for (name, values) in values {
        if values.len() > MOST_VALUES || values.len() < 2 {
            continue;
        }
        for (value, members) in values {
            groups.push(Group {
                attribute: name.as_str().to_owned(),
                value: value.as_str().to_owned(),
                members,
                third: None,
            });
        }
    }
    groups.retain(|group| group.members.iter().filter(|member| **member).count() >= LEAST_CLIENTS);
    groups
}

fn by_size(matrix: &TicketMatrix) -> Vec<Group> {
    let thirds = thirds(matrix);
    let group = |(third, name): (usize, &&str)| Group {
        attribute: CLIENT_SIZE.to_owned(),
        value: (*name).to_owned(),
        members: thirds.iter().map(|of| *of == third).collect(),
        third: Some(third),
    };
    SIZES.iter().enumerate().map(group).collect()
}

/// The third that each client is in by what it spends, 0 the smallest; ties by number.
pub(super) fn thirds(matrix: &TicketMatrix) -> Vec<usize> {
    let clients = matrix.clients();
    let spend = |client: usize| -> f64 {
        let row = matrix.row(ClientNo(client as u32)).iter();
        row.map(|cell| f64::from(cell.ticket)).sum()
    };
    let mut order: Vec<(f64, usize)> = (0..clients).map(|client| (spend(client), client)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut thirds = vec![0; clients];
    for third in 0..SIZES.len() {
        let bounds = clients * third / SIZES.len()..clients * (third + 1) / SIZES.len();
        for (_, client) in &order[bounds] {
            thirds[*client] = third;
        }
    }
    thirds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ProductNo;
    use crate::matrix::Cell;

    #[test]
    fn clients_are_parted_by_size_and_by_categories_of_few_values() {
        let row = |client: usize| {
            [Cell {
                product: ProductNo(0),
                ticket: (client + 1) as f32,
                last_day: None,
            }]
        };
        let matrix = TicketMatrix::from_rows(1, (0..40).map(row));
        let text = |raw: &str| Text::parse(raw).unwrap();
        let attributes: Vec<BTreeMap<Text, Attribute>> = (0..40)
            .map(|client| {
                let sector = if client < 30 { "bakery" } else { "hotel" };
                BTreeMap::from([
                    (text("sector"), Attribute::Text(text(sector))),
                    (text("code"), Attribute::Text(text(&format!("c{client}")))),
                    (text("same"), Attribute::Text(text("yes"))),
                    (text("staff"), Attribute::Number(3.0)),
                ])
            })
            .collect();
        let attributes: Vec<_> = attributes.iter().collect();
        let groups = groups(&matrix, &attributes);
        let names: Vec<String> = groups
            .iter()
            .map(|group| format!("{} {}", group.attribute, group.value))
            .collect();
        assert_eq!(
            names,
            [
                "client size small",
                "client size middle",
                "client size large",
                "sector bakery",
                "sector hotel"
            ]
        );
        let counts = |at: usize| groups[at].members.iter().filter(|member| **member).count();
        assert_eq!(
            [counts(0), counts(1), counts(2), counts(4)],
            [13, 13, 14, 10]
        );
        assert!(groups[0].members[0] && groups[2].members[39] && groups[4].members[39]);
    }
}
