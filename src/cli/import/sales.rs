//! Dated sales, or tickets without a date, from their file.

use std::collections::HashSet;
use std::path::Path;

use tokio::sync::mpsc;

use super::catalog::note_unknown;
use super::known::Known;
use super::number::{Decimal, money, scaled};
use super::rejects::{Rejects, lines_of};
use super::survey;
use super::table::{BadRow, Row, Table};
use super::upload::{Batch, Items, send_sales, send_tickets};
use super::{Context, DateFormat, Dialect, Outcome, Reading, dates, lines};
use crate::cli::connect::Connection;
use crate::domain::{MAX_AMOUNT_MINOR, SaleId};
use crate::wire::v1;

/// Rows of the file that one request is made of, good and bad. Requests are named by their place in
/// the file, so another number here would let the same file in twice within a day.
const ROWS_PER_REQUEST: u64 = 5_000;
/// Batches that wait between the reader and the connection.
const AHEAD: usize = 4;

const COLUMNS: [&str; 6] = [
    "client_id",
    "product_id",
    "date",
    "amount",
    "quantity",
    "sale_id",
];

/// What the reader of the file hands over.
pub(super) enum Read {
    /// Rows to send.
    Batch(Batch),
    /// A row that cannot be used.
    Bad(BadRow),
    /// A row of no money and no goods.
    Nothing,
}

/// A sales file that can be read.
pub(super) struct Sales {
    table: Table,
    columns: Columns,
    decimal: Decimal,
    /// The lines to import; all where none are named.
    only: Option<HashSet<u64>>,
    /// Of what is in the file, and of the lines to import.
    content: blake3::Hasher,
}

impl Sales {
    /// Opens a file, finds out how it is written and reads it through once: what cannot be read to
    /// its end is not begun.
    pub(super) fn open(
        reading: Reading,
        path: &Path,
        retry: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let table = Table::open(path, reading.delimiter)?;
        let columns = Columns::of(&table)?;
        note_unknown(reading, path, &table, &COLUMNS);
        let decimal = survey::decimal(reading, path, &["amount", "quantity"])?;
        let only = retry.map(|rejects| lines_of(rejects, path)).transpose()?;
        let mut content = blake3::Hasher::new_derive_key("carteira 2026 import batch v2");
        std::io::copy(&mut lines::open(path)?, &mut content)
            .map_err(|error| anyhow::anyhow!("cannot read {}: {error}; the file is damaged or cut off, so nothing of it was imported", path.display()))?;
        let mut lines: Vec<u64> = only.iter().flatten().copied().collect();
        lines.sort_unstable();
        for line in lines {
            content.update(&line.to_be_bytes());
        }
        Ok(Self {
            table,
            columns,
            decimal,
            only,
            content,
        })
    }

    /// Whether the sales have dates.
    pub(super) fn is_dated(&self) -> bool {
        self.columns.date.is_some()
    }

    /// Reads the file for somebody else than a server, a few rows at a time: amounts have so many
    /// `digits`. Gives the rows of data in it.
    pub(super) fn read(
        mut self,
        known: Known,
        dialect: &Dialect,
        digits: u32,
        mut take: impl FnMut(Result<Items, BadRow>),
    ) -> anyhow::Result<u64> {
        let rules = Rules {
            columns: self.columns,
            known,
            decimal: self.decimal,
            date_format: dialect.date_format,
            digits,
            returns: dialect.returns,
        };
        let (mut items, mut pairs) = (rules.items(), HashSet::new());
        let mut rows = 0;
        while let Some(row) = self.table.next_row()? {
            rows += 1;
            let taken = row.and_then(|row| {
                let taken = rules.row(&row, &mut items, &mut pairs);
                taken.map_err(|reason| row.bad(reason))
            });
            if let Err(bad) = taken {
                take(Err(bad));
            }
            if items.len() as u64 == ROWS_PER_REQUEST {
                take(Ok(std::mem::replace(&mut items, rules.items())));
            }
        }
        take(Ok(items));
        Ok(rows)
    }

    /// Brings the file in.
    pub(super) async fn import(
        mut self,
        context: &Context<'_>,
        channel: Connection,
        rejects: &mut Rejects,
    ) -> anyhow::Result<Outcome> {
        let path = self.table.path().to_owned();
        self.content.update(context.portfolio.as_bytes());
        let reader = Reader {
            rules: Rules {
                columns: self.columns,
                known: Known::ask(context.portfolio, channel.clone()).await?,
                decimal: self.decimal,
                date_format: context.date_format,
                digits: context.currency.digits(),
                returns: context.returns,
            },
            only: self.only,
            name: self.content.finalize().to_hex()[..32].to_owned(),
        };
        let dated = reader.rules.columns.date.is_some();
        let (sender, batches) = mpsc::channel(AHEAD);
        let reading = tokio::task::spawn_blocking(move || reader.run(self.table, &sender));
        let bar = context.progress("sales");
        let sent = match dated {
            true => send_sales(context, &path, channel, batches, rejects, &bar).await,
            false => send_tickets(context, &path, channel, batches, rejects, &bar).await,
        };
        bar.finish_and_clear();
        let mut outcome = sent?;
        let done = reading.await??;
        outcome.read = done.rows;
        outcome.rounded = done.rounded;
        context.note_encoding(&path, done.not_utf8);
        if done.rows == 0 {
            context.note(&format!("{} has a header and no rows", path.display()));
        }
        Ok(outcome)
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
}

/// What the rows of a file mean.
struct Rules {
    columns: Columns,
    known: Known,
    decimal: Decimal,
    date_format: Option<DateFormat>,
    /// Of the amounts.
    digits: u32,
    returns: bool,
}

/// Reads rows into batches on a thread of its own.
struct Reader {
    rules: Rules,
    only: Option<HashSet<u64>>,
    name: String,
}

/// What a reader saw on its way.
#[derive(Debug, Default)]
struct Done {
    rows: u64,
    rounded: u64,
    not_utf8: u64,
}

/// A row that is no reject.
enum Taken {
    /// It is in the batch; `true` where its amount was rounded.
    In(bool),
    /// It sold nothing.
    Nothing,
}

impl Reader {
    /// Reads the whole file. A receiver that is gone has an error of its own to tell.
    fn run(&self, mut table: Table, batches: &mpsc::Sender<Read>) -> anyhow::Result<Done> {
        let mut done = Done::default();
        let mut items = self.rules.items();
        let mut pairs = HashSet::new();
        while let Some(row) = table.next_row()? {
            let line = row.as_ref().map_or_else(|bad| bad.line, |row| row.line);
            if self.only.as_ref().is_some_and(|only| !only.contains(&line)) {
                continue;
            }
            done.rows += 1;
            let taken = row.and_then(|row| {
                self.rules
                    .row(&row, &mut items, &mut pairs)
                    .map_err(|reason| row.bad(reason))
            });
            let told = match taken {
                Ok(Taken::In(rounded)) => {
                    done.rounded += u64::from(rounded);
                    Ok(())
                }
                Ok(Taken::Nothing) => batches.blocking_send(Read::Nothing),
                Err(bad) => batches.blocking_send(Read::Bad(bad)),
            };
            let full = done.rows.is_multiple_of(ROWS_PER_REQUEST);
            if told.is_err() || (full && !self.send(batches, done.rows, &mut items)) {
                return Ok(done);
            }
        }
        self.send(batches, done.rows, &mut items);
        done.not_utf8 = table.not_utf8();
        Ok(done)
    }

    /// Hands over the rows up to a row of the file; `false` where nobody takes them.
    fn send(&self, batches: &mpsc::Sender<Read>, rows: u64, items: &mut Items) -> bool {
        if items.len() == 0 {
            return true;
        }
        let number = rows.div_ceil(ROWS_PER_REQUEST);
        let batch = Batch {
            request_id: format!("import-{}-{number}", self.name),
            items: std::mem::replace(items, self.rules.items()),
        };
        batches.blocking_send(Read::Batch(batch)).is_ok()
    }
}

impl Rules {
    fn items(&self) -> Items {
        Items::new(self.columns.date.is_some(), ROWS_PER_REQUEST as usize)
    }

    fn row(
        &self,
        row: &Row,
        items: &mut Items,
        pairs: &mut HashSet<(u32, u32)>,
    ) -> Result<Taken, String> {
        let field = |at: usize| row.fields[at].trim();
        let client_id = field(self.columns.client);
        let product_id = field(self.columns.product);
        let pair = self.known.check(client_id, product_id)?;
        let raw = field(self.columns.amount);
        let amount = money(raw, self.decimal, self.digits)
            .map_err(|error| format!("the amount '{raw}' {error}"))?;
        let quantity = quantity(self.columns.quantity.map_or("", field), self.decimal)?;
        match amount.minor {
            // Neither money nor goods: the row says nothing, and nothing is lost with it.
            0 if quantity == Some(0.0) => return Ok(Taken::Nothing),
            0 => return Err(format!("the amount '{raw}' is zero")),
            ..0 if self.columns.date.is_none() => {
                return Err(format!(
                    "the amount '{raw}' is negative; a ticket cannot be"
                ));
            }
            ..0 if !self.returns => {
                return Err(format!(
                    "the amount '{raw}' is negative; --returns takes it as a return"
                ));
            }
            minor if minor.unsigned_abs() > MAX_AMOUNT_MINOR.unsigned_abs() => {
                return Err(format!("the amount '{raw}' is too large"));
            }
            _ => {}
        }
        let Some(date) = self.columns.date else {
            // A ticket is one figure, so a second one of the same pair cannot be right.
            if !pairs.insert(pair) {
                return Err(format!(
                    "the ticket of the client '{client_id}' and the product '{product_id}' stands in the file already"
                ));
            }
            items.ticket(client_id, product_id, amount.minor);
            return Ok(Taken::In(amount.rounded));
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
            amount_minor: amount.minor,
            quantity,
            sale_id: sale_id.to_owned(),
        });
        Ok(Taken::In(amount.rounded))
    }
}

fn quantity(raw: &str, decimal: Decimal) -> Result<Option<f64>, String> {
    if raw.is_empty() {
        return Ok(None);
    }
    let thousandths =
        scaled(raw, decimal, 3).map_err(|error| format!("the quantity '{raw}' {error}"))?;
    Ok(Some(thousandths as f64 / 1_000.0))
}
