//! Products from their file.

use std::path::Path;

use super::catalog::{bring, each, note_unknown};
use super::number::{Decimal, scaled};
use super::rejects::Rejects;
use super::survey;
use super::table::{BadRow, Row, Table};
use super::{Context, Outcome, Reading};
use crate::cli::connect::{Connection, explain};
use crate::domain::{ProductId, Text};
use crate::wire::v1;
use crate::wire::v1::catalog_service_client::CatalogServiceClient;

/// Columns that mean something; others are passed over with a note.
const COLUMNS: [&str; 8] = [
    "product_id",
    "name",
    "category",
    "margin_rate",
    "list_price",
    "active",
    "upgrade_of",
    "needs_product",
];

/// A products file that can be read.
pub(super) struct Products {
    table: Table,
    places: [Option<usize>; COLUMNS.len()],
    decimal: Decimal,
}

impl Products {
    /// Opens a file and finds out how it is written.
    pub(super) fn open(reading: Reading, path: &Path) -> anyhow::Result<Self> {
        let table = Table::open(path, reading.delimiter)?;
        table.required("product_id")?;
        note_unknown(reading, path, &table, &COLUMNS);
        Ok(Self {
            places: COLUMNS.map(|name| table.column(name)),
            decimal: survey::decimal(reading, path, &["list_price", "margin_rate"])?,
            table,
        })
    }

    /// Reads the file for somebody else than a server: amounts have so many `digits`.
    pub(super) fn read(
        self,
        digits: u32,
        take: impl FnMut(Result<v1::Product, BadRow>),
    ) -> anyhow::Result<()> {
        let read = |row: &Row| {
            product(digits, self.decimal, &self.places, row)
                .map(|product| (product.product_id.clone(), product))
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
            decimal,
        } = self;
        let digits = context.currency.digits();
        let read = |row: &Row| {
            product(digits, decimal, &places, row)
                .map(|product| (product.product_id.clone(), product))
        };
        let service = CatalogServiceClient::new(channel);
        let send = async |products| {
            let request = v1::BatchUpsertProductsRequest {
                portfolio_id: context.portfolio.to_owned(),
                products,
                request_id: String::new(),
            };
            let sent = service.clone().batch_upsert_products(request).await;
            sent.map(|_| ()).map_err(|status| explain(&status))
        };
        bring(context, "products", table, rejects, read, send).await
    }
}

fn product(
    digits: u32,
    decimal: Decimal,
    places: &[Option<usize>; COLUMNS.len()],
    row: &Row,
) -> Result<v1::Product, String> {
    let [
        product_id,
        name,
        category,
        margin_rate,
        list_price,
        active,
        upgrade_of,
        needs_product,
    ] = places.map(|place| place.map_or("", |at| row.fields[at].trim()));
    ProductId::parse(product_id).map_err(|error| format!("product_id {error}"))?;
    Text::parse(name).map_err(|error| format!("name {error}"))?;
    Text::parse(category).map_err(|error| format!("category {error}"))?;
    for (field, id) in [("upgrade_of", upgrade_of), ("needs_product", needs_product)] {
        if !id.is_empty() {
            ProductId::parse(id).map_err(|error| format!("{field} {error}"))?;
        }
        if id == product_id {
            return Err(format!("{field} names the product itself"));
        }
    }
    Ok(v1::Product {
        product_id: product_id.to_owned(),
        name: name.to_owned(),
        category: category.to_owned(),
        margin_rate: margin(margin_rate, decimal)?,
        list_price_minor: price(list_price, decimal, digits)?,
        active: yes_or_no(active)?,
        upgrade_of_product_id: upgrade_of.to_owned(),
        needs_product_id: needs_product.to_owned(),
    })
}

fn margin(raw: &str, decimal: Decimal) -> Result<Option<f64>, String> {
    if raw.is_empty() {
        return Ok(None);
    }
    let millionths =
        scaled(raw, decimal, 6).map_err(|error| format!("margin_rate '{raw}' {error}"))?;
    let rate = millionths as f64 / 1e6;
    if !(0.0..=1.0).contains(&rate) {
        return Err(format!(
            "margin_rate '{raw}' must be from 0 to 1; 25 % is 0.25"
        ));
    }
    Ok(Some(rate))
}

fn price(raw: &str, decimal: Decimal, digits: u32) -> Result<Option<i64>, String> {
    if raw.is_empty() {
        return Ok(None);
    }
    match scaled(raw, decimal, digits) {
        Ok(price) if price >= 0 => Ok(Some(price)),
        Ok(_) => Err(format!("list_price '{raw}' must not be negative")),
        Err(error) => Err(format!("list_price '{raw}' {error}")),
    }
}

fn yes_or_no(raw: &str) -> Result<Option<bool>, String> {
    match raw.to_lowercase().as_str() {
        "" => Ok(None),
        "1" | "true" | "yes" | "y" | "sim" | "s" | "active" | "ativo" => Ok(Some(true)),
        "0" | "false" | "no" | "n" | "não" | "nao" | "inactive" | "inativo" => Ok(Some(false)),
        other => Err(format!("active '{other}' must be true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[&str]) -> Result<v1::Product, String> {
        let row = Row {
            line: 2,
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            text: Vec::new(),
        };
        let places = std::array::from_fn(|at| (at < fields.len()).then_some(at));
        product(2, Decimal::Comma, &places, &row)
    }

    #[test]
    fn a_product_is_read_whole_and_what_is_empty_is_not_given() {
        let whole = read(&["p", "Leite", "k", "0,25", "1.234,5", "não", "q", "r"]).unwrap();
        assert_eq!(whole.margin_rate, Some(0.25));
        assert_eq!(whole.list_price_minor, Some(123_450));
        assert_eq!(whole.active, Some(false));
        assert_eq!(whole.upgrade_of_product_id, "q");
        let bare = read(&["p", "", "", "", "", "", "", ""]).unwrap();
        assert_eq!(
            (bare.margin_rate, bare.list_price_minor, bare.active),
            (None, None, None)
        );
        assert!(read(&["p"]).is_ok());
    }

    #[test]
    fn a_product_that_cannot_be_is_rejected_with_the_field() {
        for (fields, part) in [
            (&["", "x"][..], "product_id must not be empty"),
            (&["p", "", "", "25"], "25 % is 0.25"),
            (
                &["p", "", "", "", "-1"],
                "list_price '-1' must not be negative",
            ),
            (&["p", "", "", "", "", "maybe"], "active 'maybe'"),
            (
                &["p", "", "", "", "", "", "", "p"],
                "needs_product names the product itself",
            ),
        ] {
            let reason = read(fields).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
