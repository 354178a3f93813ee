//! Numbers as people write them, read to exact minor units: no float is ever in between.

/// How a file writes its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// `1,234.56`
    Point,
    /// `1.234,56`
    Comma,
}

/// Decimals of an amount that are taken as meant and rounded to the currency's own.
const MOST_DECIMALS: usize = 6;
/// Zeros or nines in a row after [`MOST_DECIMALS`] that only a binary float leaves, as in
/// `5.979999999999999`.
const FLOAT_TAIL: usize = 4;

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
    /// So many decimals that it cannot be money.
    #[error("has more than {MOST_DECIMALS} decimals, so it is no amount of money; round it first")]
    Unrounded,
}

/// Money as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub minor: i64,
    /// Whether decimals that the currency does not have were rounded away.
    pub rounded: bool,
}

/// Reads an amount of a currency with so many digits. Decimals beyond these are rounded half away
/// from zero where they are at most six or the tail of a binary float, and refused otherwise.
pub fn money(raw: &str, decimal: Decimal, digits: u32) -> Result<Money, NumberError> {
    let written = Written::parse(raw, decimal)?;
    let fraction = written.fraction.trim_end_matches('0').as_bytes();
    if let Some(beyond) = fraction.get(MOST_DECIMALS..)
        && !beyond.is_empty()
    {
        let tail = |digit: u8| {
            beyond.len() > FLOAT_TAIL && beyond[..FLOAT_TAIL].iter().all(|byte| *byte == digit)
        };
        if !tail(b'0') && !tail(b'9') {
            return Err(NumberError::Unrounded);
        }
    }
    Ok(Money {
        minor: written.scaled(digits)?,
        rounded: fraction.len() > digits as usize,
    })
}

/// Reads a decimal number scaled by `10^digits`, rounded half away from zero.
pub fn scaled(raw: &str, decimal: Decimal, digits: u32) -> Result<i64, NumberError> {
    Written::parse(raw, decimal)?.scaled(digits)
}

/// A number taken apart.
struct Written<'a> {
    negative: bool,
    /// Digits and group separators.
    whole: &'a str,
    /// Digits.
    fraction: &'a str,
}

impl<'a> Written<'a> {
    fn parse(raw: &'a str, decimal: Decimal) -> Result<Self, NumberError> {
        let (negative, text) = sign(raw)?;
        let (point, group) = match decimal {
            Decimal::Point => ('.', ','),
            Decimal::Comma => (',', '.'),
        };
        let (whole, fraction) = text.split_once(point).unwrap_or((text, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(fraction) {
            return Err(NumberError::NotANumber);
        }
        if !all_digits(whole) && !is_grouped(whole, group) {
            return Err(NumberError::NotANumber);
        }
        Ok(Self {
            negative,
            whole,
            fraction,
        })
    }

    fn scaled(&self, digits: u32) -> Result<i64, NumberError> {
        let digits = digits as usize;
        let fraction = self.fraction.as_bytes();
        let kept = fraction.iter().copied().chain(std::iter::repeat(b'0'));
        let whole = self.whole.bytes().filter(u8::is_ascii_digit);
        let mut value: i64 = 0;
        for byte in whole.chain(kept.take(digits)) {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(i64::from(byte - b'0')))
                .ok_or(NumberError::TooLarge)?;
        }
        if fraction.get(digits).is_some_and(|byte| *byte >= b'5') {
            value = value.checked_add(1).ok_or(NumberError::TooLarge)?;
        }
        Ok(if self.negative { -value } else { value })
    }
}

/// Takes off the sign, before the number or behind it, and one currency mark.
fn sign(raw: &str) -> Result<(bool, &str), NumberError> {
    let mut text = raw.trim();
    let (mut signed, mut negative, mut marked) = (false, false, false);
    loop {
        if let Some(rest) = text.strip_prefix('-').filter(|_| !signed) {
            (signed, negative, text) = (true, true, rest);
        } else if let Some(rest) = text.strip_prefix('+').filter(|_| !signed) {
            (signed, text) = (true, rest);
        } else if let Some(rest) = text.strip_suffix('-').filter(|_| !signed) {
            (signed, negative, text) = (true, true, rest);
        } else if let Some(rest) = ["R$", "US$", "$", "€", "£"]
            .iter()
            .find_map(|mark| text.strip_prefix(mark).or(text.strip_suffix(mark)))
            .filter(|_| !marked)
        {
            (marked, text) = (true, rest);
        } else {
            break;
        }
        text = text.trim();
    }
    if text.is_empty() {
        return Err(if signed || marked {
            NumberError::NotANumber
        } else {
            NumberError::Empty
        });
    }
    Ok((negative, text))
}

/// Whether digits stand in groups of three by one separator, as in `1.234.567`; `0.125` does not.
fn is_grouped(whole: &str, group: char) -> bool {
    let spaces = [' ', '\u{a0}', '\u{202f}'];
    let Some(separator) = whole.chars().find(|c| !c.is_ascii_digit()) else {
        return true;
    };
    if separator != group && !spaces.contains(&separator) {
        return false;
    }
    let mut parts = whole.split(separator);
    let first = parts.next().unwrap_or_default();
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && digits(first)
        && parts.all(|part| part.len() == 3 && digits(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(raw: &str, decimal: Decimal) -> Result<(i64, bool), NumberError> {
        money(raw, decimal, 2).map(|money| (money.minor, money.rounded))
    }

    #[test]
    fn amounts_are_exact_however_they_are_written() {
        for (raw, decimal, minor) in [
            ("7000", Decimal::Point, 700_000),
            ("1,234.56", Decimal::Point, 123_456),
            ("1.234,56", Decimal::Comma, 123_456),
            ("R$ 1.234.567,8", Decimal::Comma, 123_456_780),
            ("-R$ 5,00", Decimal::Comma, -500),
            ("R$ -5,00", Decimal::Comma, -500),
            ("5,00-", Decimal::Comma, -500),
            ("12.50 €", Decimal::Point, 1_250),
            ("1 234,56", Decimal::Comma, 123_456),
            (".5", Decimal::Point, 50),
            ("5.", Decimal::Point, 500),
            ("007.10", Decimal::Point, 710),
            ("1.2300000000", Decimal::Point, 123),
            ("92233720368547758.07", Decimal::Point, i64::MAX),
        ] {
            assert_eq!(of(raw, decimal), Ok((minor, false)), "{raw}");
        }
    }

    #[test]
    fn decimals_beyond_the_currency_round_where_they_are_few_or_a_float_s_tail() {
        for (raw, minor) in [
            ("1.005", 101),
            ("-1.005", -101),
            ("1.004999", 100),
            ("5.9799999999999995", 598),
            ("10.000000000000002", 1_000),
            ("1.2340000000000002", 123),
        ] {
            assert_eq!(of(raw, Decimal::Point), Ok((minor, true)), "{raw}");
        }
        for raw in ["33.333333333333336", "0.1234567", "1.00000049"] {
            assert_eq!(
                of(raw, Decimal::Point),
                Err(NumberError::Unrounded),
                "{raw}"
            );
        }
        assert_eq!(money("1.5", Decimal::Point, 0).unwrap().minor, 2);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        assert_eq!(of(" ", Decimal::Point), Err(NumberError::Empty));
        for raw in [
            "NaN",
            "inf",
            "1e3",
            "-",
            "R$",
            "R$R$1",
            "--1",
            "1-2",
            "1,23",
            "12,34.5",
            "1,2345",
            "0,125",
            "1.2.3",
            "1,234 567",
            ",123",
            "abc",
            "０",
            ".",
            "1'000",
            "+-1",
        ] {
            assert_eq!(
                of(raw, Decimal::Point),
                Err(NumberError::NotANumber),
                "{raw}"
            );
        }
        assert_eq!(of("0.125", Decimal::Comma), Err(NumberError::NotANumber));
        for raw in ["92233720368547758.08", "1".repeat(60).as_str()] {
            assert_eq!(of(raw, Decimal::Point), Err(NumberError::TooLarge), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_survives_both_ways_of_writing(minor in -MAX..MAX) {
            let plain = crate::domain::Currency::parse("BRL").unwrap().decimal(minor);
            let grouped = crate::cli::output::grouped(&plain);
            let comma: String = grouped
                .chars()
                .map(|c| match c { '.' => ',', ',' => '.', other => other })
                .collect();
            prop_assert_eq!(of(&plain, Decimal::Point), Ok((minor, false)));
            prop_assert_eq!(of(&grouped, Decimal::Point), Ok((minor, false)));
            prop_assert_eq!(of(&comma, Decimal::Comma), Ok((minor, false)));
        }

        #[test]
        fn no_text_breaks_the_reader(raw in "\\PC{0,12}|[-+.,0-9 R$]{0,24}") {
            let _ = of(&raw, Decimal::Point);
            let _ = of(&raw, Decimal::Comma);
        }
    }

    const MAX: i64 = i64::MAX / 1_000;
}
