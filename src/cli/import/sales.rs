//! Dated sales, or tickets without a date, from their file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tonic::transport::Channel;

use super::catalog::{bad, decimal_of};
use super::dates;
use super::number::{Decimal, scaled};
use super::rejects::Rejects;
use super::table::{BadRow, Row, Table};
use super::upload::{Batch, Items, send_sales, send_tickets};
use super::{Context, DateFormat, Outcome};
use crate::cli::connect::explain;
use crate::domain::{Currency, MAX_AMOUNT_MINOR, SaleId};
use crate::wire::v1;
use crate::wire::v1::catalog_service_client::CatalogServiceClient;

/// Sales in one request.
const BATCH: usize = 5_000;
/// Batches that wait between the reader and the connection.
const AHEAD: usize = 4;

/// What the reader of the file hands over.
pub(super) enum Read {
    /// Rows to send.
    Batch(Batch),
    /// A row that cannot be used.
    Bad(BadRow),
    /// A row of no money and no goods.
    Nothing,
}

/// Brings a sales file in.
pub(super) async fn import(
    context: &Context<'_>,
    path: &Path,
    channel: Channel,
    rejects: &mut Rejects,
) -> anyhow::Result<Outcome> {
    let known = Known::ask(context, channel.clone()).await?;
    let table = Table::open(path, context.delimiter)?;
    let columns = Columns::of(&table)?;
    columns.note_unknown(context, &table);
    let reader = Reader {
        columns,
        known,
        decimal: decimal_of(context, path, &["amount"])?,
        currency: context.currency,
        date_format: context.date_format,
        returns: context.returns,
        fingerprint: fingerprint(context.portfolio, path)?,
    };
    let dated = reader.columns.date.is_some();
    let (sender, batches) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || reader.run(table, &sender));
    let bar = context.progress("sales", 0);
    let outcome = match dated {
        true => send_sales(context, path, channel, batches, rejects, &bar).await,
        false => send_tickets(context, path, channel, batches, rejects, &bar).await,
    };
    bar.finish_and_clear();
    let mut outcome = outcome?;
    let (read, latin) = reading.await??;
    outcome.read = read;
    if latin {
        context.note(&format!(
            "{} is not UTF-8 throughout; those rows were read as Latin-1",
            path.display()
        ));
    }
    if read == 0 {
        context.note(&format!("{} has a header and no rows", path.display()));
    }
    Ok(outcome)
}

/// Ids that sales may name: those of the portfolio, once its clients and products are in.
struct Known {
    clients: HashSet<String>,
    products: HashSet<String>,
}

impl Known {
    async fn ask(context: &Context<'_>, channel: Channel) -> anyhow::Result<Self> {
        let mut service = CatalogServiceClient::new(channel);
        let (mut clients, mut products) = (HashSet::new(), HashSet::new());
        let mut page_token = String::new();
        loop {
            let portfolio_id = context.portfolio.to_owned();
            let request = v1::ListClientsRequest {
                portfolio_id,
                page_size: 1_000,
                page_token,
            };
            let page = service
                .list_clients(request)
                .await
                .map_err(|status| explain(&status))?
                .into_inner();
            clients.extend(page.clients.into_iter().map(|client| client.client_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        loop {
            let portfolio_id = context.portfolio.to_owned();
            let request = v1::ListProductsRequest {
                portfolio_id,
                page_size: 1_000,
                page_token,
            };
            let page = service
                .list_products(request)
                .await
                .map_err(|status| explain(&status))?
                .into_inner();
            products.extend(page.products.into_iter().map(|product| product.product_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(Self { clients, products });
            }
        }
    }
}

/// Where the columns stand.
#[derive(Debug, Clone, Copy)]
struct Columns {
    client: usize,
    product: usize,
    date: Option<usize>,
    amount: usize,
    quantity: Option<usize>,
    sale_id: Option<usize>,
}

impl Columns {
    fn of(table: &Table) -> anyhow::Result<Self> {
        Ok(Self {
            client: table.required("client_id")?,
            product: table.required("product_id")?,
            date: table.column("date"),
            amount: table.required("amount")?,
            quantity: table.column("quantity"),
            sale_id: table.column("sale_id"),
        })
    }

    fn note_unknown(&self, context: &Context<'_>, table: &Table) {
        const KNOWN: [&str; 6] = [
            "client_id",
            "product_id",
            "date",
            "amount",
            "quantity",
            "sale_id",
        ];
        let unknown: Vec<&str> = table
            .header()
            .iter()
            .map(String::as_str)
            .filter(|name| !KNOWN.contains(&name.to_lowercase().as_str()))
            .collect();
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            context.note(&format!(
                "{} columns that sales do not have were passed over: {names}",
                table.path().display()
            ));
        }
    }
}

/// Reads rows into batches on a thread of its own.
struct Reader {
    columns: Columns,
    known: Known,
    decimal: Decimal,
    currency: Currency,
    date_format: Option<DateFormat>,
    returns: bool,
    fingerprint: String,
}

impl Reader {
    /// Reads the whole file. Returns the rows read, and whether some were not UTF-8.
    fn run(&self, mut table: Table, batches: &mpsc::Sender<Read>) -> anyhow::Result<(u64, bool)> {
        let (mut rows, mut number) = (0, 0);
        let mut items = Items::new(self.columns.date.is_some());
        while let Some(row) = table.next_row()? {
            rows += 1;
            let taken = row.and_then(|row| {
                self.row(&row, &mut items)
                    .map_err(|reason| bad(&row, reason))
            });
            let told = match taken {
                Ok(true) => Ok(()),
                Ok(false) => batches.blocking_send(Read::Nothing),
                Err(bad) => batches.blocking_send(Read::Bad(bad)),
            };
            if told.is_err() {
                break;
            }
            if items.len() == BATCH {
                let full = std::mem::replace(&mut items, Items::new(self.columns.date.is_some()));
                if batches
                    .blocking_send(Read::Batch(self.batch(number, full)))
                    .is_err()
                {
                    break;
                }
                number += 1;
            }
        }
        if items.len() > 0 {
            // A receiver that is gone has an error of its own to tell.
            let _ = batches.blocking_send(Read::Batch(self.batch(number, items)));
        }
        Ok((rows, table.is_latin()))
    }

    fn batch(&self, number: u64, items: Items) -> Batch {
        Batch {
            request_id: format!("import-{}-{number}", self.fingerprint),
            items,
        }
    }

    /// Takes a row in; `false` for one that sold nothing.
    fn row(&self, row: &Row, items: &mut Items) -> Result<bool, String> {
        let field = |at: usize| row.fields[at].trim();
        let client_id = field(self.columns.client);
        let product_id = field(self.columns.product);
        if !self.known.clients.contains(client_id) {
            return Err(format!(
                "the client '{client_id}' is neither in the clients file nor in the portfolio"
            ));
        }
        if !self.known.products.contains(product_id) {
            return Err(format!(
                "the product '{product_id}' is neither in the products file nor in the portfolio"
            ));
        }
        let raw = field(self.columns.amount);
        let amount_minor = scaled(raw, self.decimal, self.currency.digits())
            .map_err(|error| format!("the amount '{raw}' {error}"))?;
        let quantity = match self.columns.quantity.map_or("", field) {
            "" => None,
            raw => Some(
                scaled(raw, self.decimal, 3)
                    .map_err(|error| format!("the quantity '{raw}' {error}"))?
                    as f64
                    / 1_000.0,
            ),
        };
        match amount_minor {
            // Neither money nor goods: the row says nothing, and nothing is lost with it.
            0 if quantity == Some(0.0) => return Ok(false),
            0 => return Err(format!("the amount '{raw}' is zero")),
            ..0 if !self.returns => {
                return Err(format!(
                    "the amount '{raw}' is negative; --returns takes it as a return"
                ));
            }
            _ if amount_minor.unsigned_abs() > MAX_AMOUNT_MINOR.unsigned_abs() => {
                return Err(format!("the amount '{raw}' is too large"));
            }
            _ => {}
        }
        let Some(date) = self.columns.date else {
            return items
                .ticket(client_id, product_id, amount_minor)
                .map(|()| true);
        };
        let day = dates::parse(field(date), self.date_format)?;
        let sale_id = self.columns.sale_id.map_or("", field);
        if !sale_id.is_empty() {
            SaleId::parse(sale_id).map_err(|error| format!("the sale_id {error}"))?;
        }
        items.sale(v1::Sale {
            client_id: client_id.to_owned(),
            product_id: product_id.to_owned(),
            date: day.to_string(),
            amount_minor,
            quantity,
            sale_id: sale_id.to_owned(),
        });
        Ok(true)
    }
}

/// Names a file by its content, so that its batches have the same names in every run.
fn fingerprint(portfolio: &str, path: &Path) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new_derive_key("carteira 2026 import batch v1");
    hasher.update(portfolio.as_bytes());
    hasher.update(&[0]);
    let path: PathBuf = path.to_owned();
    hasher.update_reader(std::fs::File::open(&path)?)?;
    Ok(hasher.finalize().to_hex()[..32].to_owned())
}
