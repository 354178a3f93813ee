//! A first look at a file: how it writes its numbers, before a row of it is sent.

use std::path::Path;

use super::Reading;
use super::amounts::Evidence;
use super::number::Decimal;
use super::table::Table;

/// Finds out how some columns of a file write numbers; columns that are not there are passed over.
/// Reads on until it is settled, to the end of the file where it must.
pub(in crate::cli) fn decimal(
    reading: Reading,
    path: &Path,
    columns: &[&str],
) -> anyhow::Result<Decimal> {
    /// Rows that are looked at even where the first ones settle it.
    const LOOKED_AT: u64 = 2_000;

    let mut table = Table::open(path, reading.delimiter)?;
    let places: Vec<usize> = columns
        .iter()
        .filter_map(|name| table.column(name))
        .collect();
    let told = reading.decimal_comma.is_some() || places.is_empty();
    let mut evidence = Evidence::default();
    let mut rows = 0;
    while !told && (rows < LOOKED_AT || !evidence.is_settled()) {
        let Some(row) = table.next_row()? else {
            break;
        };
        rows += 1;
        if let Ok(row) = row {
            for at in &places {
                evidence.add(&row.fields[*at]);
            }
        }
    }
    let decimal = reading.decimal(&evidence, table.delimiter());
    if let Some(value) = evidence.doubtful() {
        let (read, flag) = match decimal {
            Decimal::Comma => ("a decimal comma", "--decimal-comma=false"),
            Decimal::Point => ("a decimal point", "--decimal-comma"),
        };
        reading.note(&format!(
            "numbers such as {value} in {} can mean two things and are read with {read}; {flag} reads them the other way",
            path.display()
        ));
    }
    Ok(decimal)
}
