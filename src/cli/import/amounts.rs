//! How a file writes its numbers: found out from the numbers themselves.

use super::number::Decimal;

/// Tells a decimal comma from a decimal point by values of a file. A value with both separators,
/// or with one or two digits after its only separator, says which; otherwise the separator of
/// columns does: files split by semicolons come from where the comma is the decimal.
pub fn guess<'a>(values: impl Iterator<Item = &'a str>, delimiter_is_comma: bool) -> Decimal {
    let (mut comma, mut point) = (0_u64, 0_u64);
    for value in values {
        let value = value.trim();
        match (value.rfind(','), value.rfind('.')) {
            (Some(at), Some(other)) if at > other => comma += 1,
            (Some(_), Some(_)) => point += 1,
            (Some(at), None) if value.len() - at - 1 != 3 => comma += 1,
            (None, Some(at)) if value.len() - at - 1 != 3 => point += 1,
            _ => {}
        }
    }
    let undecided = comma == 0 && point == 0;
    if comma > point || (undecided && !delimiter_is_comma) {
        Decimal::Comma
    } else {
        Decimal::Point
    }
}
