//! Amounts as people write them, read to exact minor units.

/// How a file writes its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

/// Decimals beyond the currency's own that are taken as the tail of a binary float and rounded.
const MOST_EXTRA_DECIMALS: usize = 12;

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Not digits, a sign and a separator.
    #[error("is not a number")]
    NotANumber,
    /// More than fits.
    #[error("is too large")]
    TooLarge,
}

/// Reads a decimal number scaled by `10^digits`, rounded half away from zero.
pub fn scaled(raw: &str, decimal: Decimal, digits: u32) -> Result<i64, NumberError> {
    let text = raw
        .trim()
        .trim_start_matches(['R', '$', '€', '£', ' ', '\u{a0}']);
    let text = text.trim_start_matches("R$").trim();
    if text.is_empty() {
        return Err(NumberError::Empty);
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (point, group) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (whole, fraction) = text.split_once(point).unwrap_or((text, ""));
    if fraction.contains([point, group]) || fraction.len() > digits as usize + MOST_EXTRA_DECIMALS {
        return Err(NumberError::NotANumber);
    }
    let groups: Vec<&str> = whole.split([group, ' ', '\u{a0}', '\u{202f}']).collect();
    let grouped = groups.len() == 1
        || (groups.iter().skip(1).all(|part| part.len() == 3)
            && (1..=3).contains(&groups[0].len()));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let empty = whole.is_empty() && fraction.is_empty();
    if empty || !grouped || !groups.iter().all(|part| all_digits(part)) || !all_digits(fraction) {
        return Err(NumberError::NotANumber);
    }
    let mut value: i128 = 0;
    let kept = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(digits as usize);
    for byte in whole.bytes().filter(u8::is_ascii_digit).chain(kept) {
        value = value * 10 + i128::from(byte - b'0');
        if value > i128::from(i64::MAX) {
            return Err(NumberError::TooLarge);
        }
    }
    if fraction
        .as_bytes()
        .get(digits as usize)
        .is_some_and(|byte| *byte >= b'5')
    {
        value += 1;
    }
    let value = i64::try_from(value).map_err(|_| NumberError::TooLarge)?;
    Ok(if negative { -value } else { value })
}
