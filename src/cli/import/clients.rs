//! Clients from their file, with whatever attributes it holds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;

use super::catalog::{bring, each};
use super::number::{Decimal, scaled};
use super::rejects::Rejects;
use super::table::{BadRow, Row, Table};
use super::{Context, Outcome, Reading, amounts};
use crate::cli::connect::{Connection, explain};
use crate::domain::{ClientId, MAX_ATTRIBUTES, MAX_EXCLUDED_PRODUCTS, ProductId, Text};
use crate::wire::v1;
use crate::wire::v1::attribute_value::Value;
use crate::wire::v1::catalog_service_client::CatalogServiceClient;

/// Columns that are no attributes, beside that of the id.
const COLUMNS: [&str; 3] = ["name", "owner", "excluded_products"];
/// The column of the id in a file of clients.
const CLIENT_ID: &str = "client_id";
/// Decimals of an attribute that are kept.
const DECIMALS: u32 = 6;

/// A column that says something of the clients.
struct Attribute {
    place: usize,
    name: String,
    /// How its numbers are written; `None` where some value is no number.
    numbers: Option<Decimal>,
}

/// A clients file that can be read.
pub(in crate::cli) struct Clients {
    table: Table,
    places: [Option<usize>; COLUMNS.len() + 1],
    attributes: Vec<Attribute>,
}

impl Clients {
    /// Opens a file and finds out which of its columns are numbers.
    pub(super) fn open(reading: Reading, path: &Path) -> anyhow::Result<Self> {
        Self::open_by(CLIENT_ID, reading, path)
    }

    /// The same of companies whose id stands in another column.
    pub(in crate::cli) fn open_by(id: &str, reading: Reading, path: &Path) -> anyhow::Result<Self> {
        let table = Table::open(path, reading.delimiter)?;
        table.required(id)?;
        let attributes = attributes(reading, path, &table, id)?;
        let [name, owner, excluded] = COLUMNS.map(|name| table.column(name));
        Ok(Self {
            places: [table.column(id), name, owner, excluded],
            attributes,
            table,
        })
    }

    /// Reads the file for somebody else than a server.
    pub(in crate::cli) fn read(
        self,
        take: impl FnMut(Result<v1::Client, BadRow>),
    ) -> anyhow::Result<()> {
        let read = |row: &Row| {
            client(&self.places, &self.attributes, row)
                .map(|client| (client.client_id.clone(), client))
        };
        each(self.table, read, take)
    }

    /// Brings the file in.
    pub(super) async fn import(
        self,
        context: &Context<'_>,
        channel: Connection,
        rejects: &mut Rejects,
    ) -> anyhow::Result<Outcome> {
        let Self {
            table,
            places,
            attributes,
        } = self;
        let read = |row: &Row| {
            client(&places, &attributes, row).map(|client| (client.client_id.clone(), client))
        };
        let service = CatalogServiceClient::new(channel);
        let send = async |clients| {
            let request = v1::BatchUpsertClientsRequest {
                portfolio_id: context.portfolio.to_owned(),
                clients,
                request_id: String::new(),
            };
            let sent = service.clone().batch_upsert_clients(request).await;
            sent.map(|_| ()).map_err(|status| explain(&status))
        };
        bring(context, "clients", table, rejects, read, send).await
    }
}

/// The attribute columns. One whose values are all numbers is numeric.
fn attributes(
    reading: Reading,
    path: &Path,
    table: &Table,
    id: &str,
) -> anyhow::Result<Vec<Attribute>> {
    let names = table.header().iter().enumerate();
    let is_attribute = |name: &str| {
        let name = name.to_lowercase();
        !name.is_empty() && name != id && !COLUMNS.contains(&name.as_str())
    };
    let columns: Vec<(usize, &String)> = names.filter(|(_, name)| is_attribute(name)).collect();
    if columns.len() > MAX_ATTRIBUTES {
        bail!(
            "{} has {} columns of attributes; a client has at most {MAX_ATTRIBUTES}. Leave some out, or name the file's delimiter with --delimiter if the columns are split wrongly",
            path.display(),
            columns.len()
        );
    }
    for (_, name) in &columns {
        if let Err(error) = Text::parse(name) {
            bail!(
                "the column '{name}' of {} {error}; rename it",
                path.display()
            );
        }
    }
    let mut values: Vec<Vec<String>> = vec![Vec::new(); columns.len()];
    let mut rows = Table::open(path, reading.delimiter)?;
    while let Some(row) = rows.next_row()? {
        let Ok(row) = row else {
            continue;
        };
        for ((at, _), values) in columns.iter().zip(&mut values) {
            let value = row.fields[*at].trim();
            if !value.is_empty() {
                values.push(value.to_owned());
            }
        }
    }
    let attribute = |((place, name), values): ((usize, &String), Vec<String>)| Attribute {
        place,
        name: name.clone(),
        numbers: numbers(reading, table.delimiter(), &values),
    };
    Ok(columns.into_iter().zip(values).map(attribute).collect())
}

/// How the values of a column are written if they are all numbers. Codes such as 01310 are names,
/// not quantities.
fn numbers(reading: Reading, split_by: u8, values: &[String]) -> Option<Decimal> {
    let mut evidence = amounts::Evidence::default();
    for value in values {
        evidence.add(value);
    }
    let decimal = reading.decimal(&evidence, split_by);
    let code = |value: &String| {
        value.len() > 1 && value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit())
    };
    let number = |value: &String| scaled(value, decimal, DECIMALS).is_ok() && !code(value);
    (!values.is_empty() && values.iter().all(number)).then_some(decimal)
}

fn client(
    places: &[Option<usize>; COLUMNS.len() + 1],
    attributes: &[Attribute],
    row: &Row,
) -> Result<v1::Client, String> {
    let [client_id, name, owner, excluded] =
        places.map(|place| place.map_or("", |at| row.fields[at].trim()));
    ClientId::parse(client_id).map_err(|error| format!("client_id {error}"))?;
    Text::parse(name).map_err(|error| format!("name {error}"))?;
    Text::parse(owner).map_err(|error| format!("owner {error}"))?;
    let mut values = BTreeMap::new();
    for attribute in attributes {
        let raw = row.fields[attribute.place].trim();
        let name = &attribute.name;
        if raw.is_empty() {
            continue;
        }
        let value = match attribute.numbers {
            Some(decimal) => {
                let number = scaled(raw, decimal, DECIMALS)
                    .map_err(|error| format!("{name} '{raw}' {error}"))?;
                Value::Number(number as f64 / 10_f64.powi(DECIMALS as i32))
            }
            None => {
                Text::parse(raw).map_err(|error| format!("{name} {error}"))?;
                Value::Text(raw.to_owned())
            }
        };
        values.insert(name.clone(), v1::AttributeValue { value: Some(value) });
    }
    Ok(v1::Client {
        client_id: client_id.to_owned(),
        name: name.to_owned(),
        owner: owner.to_owned(),
        attributes: values,
        excluded_product_ids: ids(excluded)?,
    })
}

/// Product ids with `|` between them; where there is none, with spaces.
fn ids(raw: &str) -> Result<Vec<String>, String> {
    let by = if raw.contains('|') { '|' } else { ' ' };
    let ids: Vec<String> = raw
        .split(by)
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .collect();
    if ids.len() > MAX_EXCLUDED_PRODUCTS {
        return Err(format!(
            "excluded_products names {} products; at most {MAX_EXCLUDED_PRODUCTS} are kept",
            ids.len()
        ));
    }
    for id in &ids {
        ProductId::parse(id).map_err(|error| format!("excluded_products '{id}' {error}"))?;
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(values: &[&str], split_by: u8) -> Option<Decimal> {
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        numbers(Reading::default(), split_by, &values)
    }

    #[test]
    fn a_column_is_numeric_when_every_value_in_it_is_a_number() {
        assert_eq!(kinds(&["3", "12.5"], b','), Some(Decimal::Point));
        assert_eq!(kinds(&["3", "1.234,5"], b';'), Some(Decimal::Comma));
        assert_eq!(kinds(&["3", "a"], b','), None);
        assert_eq!(kinds(&["01310", "20040"], b','), None);
        assert_eq!(kinds(&["0", "0.5"], b','), Some(Decimal::Point));
        assert_eq!(kinds(&[], b','), None);
    }

    #[test]
    fn a_client_is_read_with_its_attributes_and_exclusions() {
        let attributes = [
            Attribute {
                place: 3,
                name: "staff".into(),
                numbers: Some(Decimal::Point),
            },
            Attribute {
                place: 4,
                name: "sector".into(),
                numbers: None,
            },
        ];
        let read = |fields: [&str; 5]| {
            let row = Row {
                line: 2,
                fields: fields.map(str::to_owned).to_vec(),
                text: Vec::new(),
            };
            client(&[Some(0), Some(1), None, Some(2)], &attributes, &row)
        };
        let whole = read(["c", "Padaria", "milk| blue cheese ", "14.5", "bakery"]).unwrap();
        assert_eq!(whole.excluded_product_ids, ["milk", "blue cheese"]);
        assert_eq!(whole.attributes["staff"].value, Some(Value::Number(14.5)));
        assert_eq!(
            whole.attributes["sector"].value,
            Some(Value::Text("bakery".into()))
        );
        let bare = read(["c", "", "milk butter", "", ""]).unwrap();
        assert_eq!(bare.excluded_product_ids, ["milk", "butter"]);
        assert!(bare.attributes.is_empty());
        assert!(
            read(["", "", "", "", ""])
                .unwrap_err()
                .contains("client_id")
        );
        let many = "p ".repeat(1_001);
        assert!(read(["c", "", &many, "", ""]).unwrap_err().contains("1001"));
    }
}
