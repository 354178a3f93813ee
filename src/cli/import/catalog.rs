//! Clients and products from their files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tonic::transport::Channel;

use super::number::{Decimal, scaled};
use super::rejects::Rejects;
use super::table::{BadRow, Row, Table};
use super::{Context, Outcome, amounts};
use crate::cli::connect::explain;
use crate::domain::{ClientId, ProductId, Text};
use crate::wire::v1;
use crate::wire::v1::catalog_service_client::CatalogServiceClient;

/// Clients or products in one request.
const BATCH: usize = 1_000;
/// Rows looked at to find out how numbers are written.
const LOOKED_AT: usize = 2_000;

/// Columns of products.csv that mean something; others are passed over with a note.
const PRODUCT_COLUMNS: [&str; 8] = [
    "product_id",
    "name",
    "category",
    "margin_rate",
    "list_price",
    "active",
    "upgrade_of",
    "needs_product",
];
/// Columns of clients.csv that are no attributes.
const CLIENT_COLUMNS: [&str; 4] = ["client_id", "name", "owner", "excluded_products"];

/// Brings a products file in.
pub(super) async fn products(
    context: &Context<'_>,
    path: &Path,
    channel: Channel,
    rejects: &mut Rejects,
) -> anyhow::Result<Outcome> {
    let mut table = Table::open(path, context.delimiter)?;
    table.required("product_id")?;
    let unknown: Vec<&str> = table
        .header()
        .iter()
        .map(String::as_str)
        .filter(|name| !PRODUCT_COLUMNS.contains(&name.to_lowercase().as_str()))
        .collect();
    if !unknown.is_empty() {
        context.note(&format!(
            "{} columns that products do not have were passed over: {}",
            path.display(),
            unknown.join(", ")
        ));
    }
    let decimal = decimal_of(context, path, &["list_price", "margin_rate"])?;
    let mut service = CatalogServiceClient::new(channel);
    let mut seen = BTreeSet::new();
    let mut batch = Vec::with_capacity(BATCH);
    let bar = context.progress("products", 0);
    let mut outcome = Outcome::default();
    while let Some(row) = table.next_row()? {
        outcome.read += 1;
        match row.and_then(|row| {
            product(context, &table, decimal, &mut seen, &row).map_err(|reason| bad(&row, reason))
        }) {
            Ok(product) => batch.push(product),
            Err(bad) => {
                outcome.rejected += 1;
                rejects.add(path, &bad)?;
            }
        }
        if batch.len() == BATCH {
            bar.inc(batch.len() as u64);
            outcome.accepted += send_products(context, &mut service, &mut batch).await?;
        }
    }
    outcome.accepted += send_products(context, &mut service, &mut batch).await?;
    bar.finish_and_clear();
    Ok(outcome)
}

/// Brings a clients file in.
pub(super) async fn clients(
    context: &Context<'_>,
    path: &Path,
    channel: Channel,
    rejects: &mut Rejects,
) -> anyhow::Result<Outcome> {
    let mut table = Table::open(path, context.delimiter)?;
    table.required("client_id")?;
    let attributes: Vec<(usize, String)> = table
        .header()
        .iter()
        .enumerate()
        .filter(|(_, name)| {
            !name.is_empty() && !CLIENT_COLUMNS.contains(&name.to_lowercase().as_str())
        })
        .map(|(at, name)| (at, name.clone()))
        .collect();
    let numeric = numeric_columns(context, path, &attributes)?;
    let mut service = CatalogServiceClient::new(channel);
    let mut seen = BTreeSet::new();
    let mut batch = Vec::with_capacity(BATCH);
    let bar = context.progress("clients", 0);
    let mut outcome = Outcome::default();
    while let Some(row) = table.next_row()? {
        outcome.read += 1;
        let client = row.and_then(|row| {
            client(&table, &attributes, &numeric, &mut seen, &row)
                .map_err(|reason| bad(&row, reason))
        });
        match client {
            Ok(client) => batch.push(client),
            Err(bad) => {
                outcome.rejected += 1;
                rejects.add(path, &bad)?;
            }
        }
        if batch.len() == BATCH {
            bar.inc(batch.len() as u64);
            outcome.accepted += send_clients(context, &mut service, &mut batch).await?;
        }
    }
    outcome.accepted += send_clients(context, &mut service, &mut batch).await?;
    bar.finish_and_clear();
    Ok(outcome)
}

/// A row that cannot be used.
pub(super) fn bad(row: &Row, reason: String) -> BadRow {
    BadRow {
        line: row.line,
        reason,
        raw: row.raw.clone(),
    }
}

/// How a file writes the numbers of some columns.
pub(super) fn decimal_of(
    context: &Context<'_>,
    path: &Path,
    columns: &[&str],
) -> anyhow::Result<Decimal> {
    if context.decimal_comma {
        return Ok(Decimal::Comma);
    }
    let mut table = Table::open(path, context.delimiter)?;
    let columns: Vec<usize> = columns
        .iter()
        .filter_map(|name| table.column(name))
        .collect();
    let comma_splits = table.splits_by_comma();
    let mut values = Vec::new();
    for _ in 0..LOOKED_AT {
        match table.next_row()? {
            None => break,
            Some(Err(_)) => {}
            Some(Ok(row)) => values.extend(columns.iter().map(|at| row.fields[*at].clone())),
        }
    }
    Ok(amounts::guess(
        values.iter().map(String::as_str),
        comma_splits,
    ))
}

/// The attribute columns all of whose values are numbers, with how these are written.
fn numeric_columns(
    context: &Context<'_>,
    path: &Path,
    attributes: &[(usize, String)],
) -> anyhow::Result<BTreeMap<usize, Decimal>> {
    let mut table = Table::open(path, context.delimiter)?;
    let comma_splits = table.splits_by_comma();
    let mut values: BTreeMap<usize, Vec<String>> =
        attributes.iter().map(|(at, _)| (*at, Vec::new())).collect();
    while let Some(row) = table.next_row()? {
        let Ok(row) = row else {
            continue;
        };
        for (at, values) in &mut values {
            let value = row.fields[*at].trim();
            if !value.is_empty() {
                values.push(value.to_owned());
            }
        }
    }
    let numeric = values.into_iter().filter_map(|(at, values)| {
        let decimal = match context.decimal_comma {
            true => Decimal::Comma,
            false => amounts::guess(values.iter().map(String::as_str), comma_splits),
        };
        // Codes such as 01310 are names, not quantities.
        let code = |value: &String| {
            value.len() > 1 && value.starts_with('0') && value.bytes().all(|b| b.is_ascii_digit())
        };
        let number = |value: &String| scaled(value, decimal, 6).is_ok() && !code(value);
        (!values.is_empty() && values.iter().all(number)).then_some((at, decimal))
    });
    Ok(numeric.collect())
}

fn product(
    context: &Context<'_>,
    table: &Table,
    decimal: Decimal,
    seen: &mut BTreeSet<String>,
    row: &Row,
) -> Result<v1::Product, String> {
    let field = |name: &str| table.column(name).map_or("", |at| row.fields[at].trim());
    let product_id = field("product_id").to_owned();
    ProductId::parse(&product_id).map_err(|error| format!("product_id {error}"))?;
    Text::parse(field("name")).map_err(|error| format!("name {error}"))?;
    Text::parse(field("category")).map_err(|error| format!("category {error}"))?;
    let margin_rate = match field("margin_rate") {
        "" => None,
        raw => {
            let millionths =
                scaled(raw, decimal, 6).map_err(|error| format!("margin_rate '{raw}' {error}"))?;
            let rate = millionths as f64 / 1e6;
            if !(0.0..=1.0).contains(&rate) {
                return Err(format!("margin_rate '{raw}' must be from 0 to 1"));
            }
            Some(rate)
        }
    };
    let list_price_minor = match field("list_price") {
        "" => None,
        raw => match scaled(raw, decimal, context.currency.digits()) {
            Ok(price) if price >= 0 => Some(price),
            Ok(_) => return Err(format!("list_price '{raw}' must not be negative")),
            Err(error) => return Err(format!("list_price '{raw}' {error}")),
        },
    };
    let active = match field("active").to_lowercase().as_str() {
        "" => None,
        "1" | "true" | "yes" | "y" | "sim" | "s" | "active" => Some(true),
        "0" | "false" | "no" | "n" | "não" | "nao" | "inactive" => Some(false),
        other => return Err(format!("active '{other}' must be true or false")),
    };
    for name in ["upgrade_of", "needs_product"] {
        match field(name) {
            "" => {}
            raw => drop(ProductId::parse(raw).map_err(|error| format!("{name} {error}"))?),
        }
    }
    if field("needs_product") == product_id {
        return Err("needs_product names the product itself".into());
    }
    if !seen.insert(product_id.clone()) {
        return Err(format!(
            "the product '{product_id}' stands in the file already"
        ));
    }
    Ok(v1::Product {
        product_id,
        name: field("name").to_owned(),
        category: field("category").to_owned(),
        margin_rate,
        list_price_minor,
        active,
        upgrade_of_product_id: field("upgrade_of").to_owned(),
        needs_product_id: field("needs_product").to_owned(),
    })
}

fn client(
    table: &Table,
    attributes: &[(usize, String)],
    numeric: &BTreeMap<usize, Decimal>,
    seen: &mut BTreeSet<String>,
    row: &Row,
) -> Result<v1::Client, String> {
    let field = |name: &str| table.column(name).map_or("", |at| row.fields[at].trim());
    let client_id = field("client_id").to_owned();
    ClientId::parse(&client_id).map_err(|error| format!("client_id {error}"))?;
    Text::parse(field("name")).map_err(|error| format!("name {error}"))?;
    Text::parse(field("owner")).map_err(|error| format!("owner {error}"))?;
    let mut values = BTreeMap::new();
    for (at, name) in attributes {
        let raw = row.fields[*at].trim();
        if raw.is_empty() {
            continue;
        }
        let value = match numeric.get(at) {
            Some(decimal) => {
                let millionths =
                    scaled(raw, *decimal, 6).map_err(|error| format!("{name} '{raw}' {error}"))?;
                v1::attribute_value::Value::Number(millionths as f64 / 1e6)
            }
            None => {
                Text::parse(raw).map_err(|error| format!("{name} {error}"))?;
                v1::attribute_value::Value::Text(raw.to_owned())
            }
        };
        values.insert(name.clone(), v1::AttributeValue { value: Some(value) });
    }
    let excluded: Vec<String> = field("excluded_products")
        .split(['|', ' '])
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect();
    if !seen.insert(client_id.clone()) {
        return Err(format!(
            "the client '{client_id}' stands in the file already"
        ));
    }
    Ok(v1::Client {
        client_id,
        name: field("name").to_owned(),
        owner: field("owner").to_owned(),
        attributes: values,
        excluded_product_ids: excluded,
    })
}

async fn send_products(
    context: &Context<'_>,
    service: &mut CatalogServiceClient<Channel>,
    batch: &mut Vec<v1::Product>,
) -> anyhow::Result<u64> {
    if batch.is_empty() {
        return Ok(0);
    }
    let products = std::mem::take(batch);
    let count = products.len() as u64;
    let request = v1::BatchUpsertProductsRequest {
        portfolio_id: context.portfolio.to_owned(),
        products,
        request_id: String::new(),
    };
    service
        .batch_upsert_products(request)
        .await
        .map_err(|status| explain(&status))?;
    Ok(count)
}

async fn send_clients(
    context: &Context<'_>,
    service: &mut CatalogServiceClient<Channel>,
    batch: &mut Vec<v1::Client>,
) -> anyhow::Result<u64> {
    if batch.is_empty() {
        return Ok(0);
    }
    let clients = std::mem::take(batch);
    let count = clients.len() as u64;
    let request = v1::BatchUpsertClientsRequest {
        portfolio_id: context.portfolio.to_owned(),
        clients,
        request_id: String::new(),
    };
    service
        .batch_upsert_clients(request)
        .await
        .map_err(|status| explain(&status))?;
    Ok(count)
}
