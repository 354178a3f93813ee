//! What the clients file and the products file have in common: rows in batches, each row once.

use std::collections::HashSet;
use std::path::Path;

use super::rejects::Rejects;
use super::table::{BadRow, Row, Table};
use super::{Context, Outcome};

/// Clients or products in one request.
const BATCH: usize = 1_000;

/// Reads a file row by row. `read` gives the id of a row and what it holds; an id that stands in
/// the file already is a bad row.
pub(super) fn each<T>(
    mut table: Table,
    read: impl Fn(&Row) -> Result<(String, T), String>,
    mut take: impl FnMut(Result<T, BadRow>),
) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    while let Some(row) = table.next_row()? {
        take(row.and_then(|row| once(&row, &read, &mut seen)));
    }
    Ok(())
}

/// What a row holds, where its id was not seen before.
fn once<T>(
    row: &Row,
    read: impl Fn(&Row) -> Result<(String, T), String>,
    seen: &mut HashSet<String>,
) -> Result<T, BadRow> {
    let (id, item) = read(row).map_err(|reason| row.bad(reason))?;
    if seen.insert(id.clone()) {
        Ok(item)
    } else {
        Err(row.bad(format!("'{id}' stands in the file already")))
    }
}

/// Reads a file into batches and sends each. `read` gives the id of a row and what it holds; an id
/// that stands in the file already is rejected.
pub(super) async fn bring<T>(
    context: &Context<'_>,
    what: &'static str,
    mut table: Table,
    rejects: &mut Rejects,
    read: impl Fn(&Row) -> Result<(String, T), String>,
    mut send: impl AsyncFnMut(Vec<T>) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let path = table.path().to_owned();
    let bar = context.progress(what);
    let mut outcome = Outcome::default();
    let mut seen = HashSet::new();
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let row = table.next_row()?;
        let ended = row.is_none();
        if let Some(row) = row {
            outcome.read += 1;
            match row.and_then(|row| once(&row, &read, &mut seen)) {
                Ok(item) => batch.push(item),
                Err(bad) => {
                    outcome.rejected += 1;
                    rejects.add(&path, &bad)?;
                }
            }
        }
        if batch.len() == BATCH || (ended && !batch.is_empty()) {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            let count = full.len() as u64;
            send(full).await?;
            outcome.accepted += count;
            bar.inc(count);
        }
        if ended {
            bar.finish_and_clear();
            context.note_encoding(&path, table.not_utf8());
            return Ok(outcome);
        }
    }
}

/// Says which columns of a file mean nothing here.
pub(super) fn note_unknown(reading: super::Reading, path: &Path, table: &Table, known: &[&str]) {
    let unknown: Vec<&str> = table
        .header()
        .iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty() && !known.contains(&name.to_lowercase().as_str()))
        .collect();
    if !unknown.is_empty() {
        reading.note(&format!(
            "columns of {} that mean nothing here are passed over: {}",
            path.display(),
            unknown.join(", ")
        ));
    }
}
