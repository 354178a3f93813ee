//! How answers are printed: a table for people, JSON or CSV for programs.

use std::io::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

use super::formula::defused;
use crate::domain::Currency;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// For programs
    Json,
    /// For spreadsheets
    Csv,
}

/// One column of a list: its name in JSON and CSV, its title in a table.
pub struct Column {
    /// The field in JSON and CSV.
    pub field: &'static str,
    /// The title in a table; empty for a column that tables leave out.
    pub title: &'static str,
    /// Whether it is money in minor units.
    pub money: bool,
}

impl Column {
    /// A column that is no money.
    pub const fn plain(field: &'static str, title: &'static str) -> Self {
        Self {
            field,
            title,
            money: false,
        }
    }

    /// A column of money in minor units.
    pub const fn money(field: &'static str, title: &'static str) -> Self {
        Self {
            field,
            title,
            money: true,
        }
    }
}

/// Prints rows as objects with the fields of `columns`.
pub fn rows(
    output: Output,
    columns: &[Column],
    rows: &[Value],
    currency: Option<Currency>,
) -> anyhow::Result<()> {
    match output {
        Output::Json => json(&Value::Array(rows.to_vec())),
        Output::Csv => {
            let mut all = csv_header(columns)?;
            for row in rows {
                all.extend(csv_row(columns, row)?);
            }
            print(String::from_utf8_lossy(&all).trim_end_matches('\n'))
        }
        Output::Table => print(&table(columns, rows, currency)),
    }
}

/// Prints one JSON value.
pub fn json(value: &Value) -> anyhow::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Prints a text and a line break. A reader that has seen enough is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// The header of rows in CSV.
pub fn csv_header(columns: &[Column]) -> anyhow::Result<Vec<u8>> {
    csv_record(columns.iter().map(|column| column.field.to_owned()))
}

/// A row in CSV, amounts in minor units as in JSON.
pub fn csv_row(columns: &[Column], row: &Value) -> anyhow::Result<Vec<u8>> {
    csv_record(
        columns
            .iter()
            .map(|column| defused(&text(&row[column.field])).into_owned()),
    )
}

fn csv_record(fields: impl Iterator<Item = String>) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields)?;
    Ok(writer
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?)
}

/// The rows as a table; `None` as the currency leaves amounts in minor units.
pub fn table(columns: &[Column], rows: &[Value], currency: Option<Currency>) -> String {
    let shown: Vec<&Column> = columns
        .iter()
        .filter(|column| !column.title.is_empty())
        .collect();
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(shown.iter().map(|column| column.title));
    for row in rows {
        table.add_row(shown.iter().map(|column| {
            let value = &row[column.field];
            match (value, column.money, currency) {
                (Value::Number(number), true, Some(currency)) => {
                    grouped(&currency.decimal(number.as_i64().unwrap_or(0)))
                }
                (Value::Number(number), false, _) if number.is_f64() => {
                    format!("{:.2}", number.as_f64().unwrap_or(0.0))
                }
                _ => printable(&text(value)),
            }
        }));
    }
    for (at, column) in shown.iter().enumerate() {
        let numeric = rows.iter().any(|row| row[column.field].is_number());
        if numeric && let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text that a terminal shows as it is: no control characters.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// `1234567.89` as `1,234,567.89`.
pub fn grouped(decimal: &str) -> String {
    let (sign, digits) = decimal
        .strip_prefix('-')
        .map_or(("", decimal), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped() {
        assert_eq!(grouped("1234567.89"), "1,234,567.89");
        assert_eq!(grouped("-123.00"), "-123.00");
        assert_eq!(grouped("1000"), "1,000");
    }
}
