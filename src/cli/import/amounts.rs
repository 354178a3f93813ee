//! How a file writes its numbers: found out from the numbers themselves.

use super::number::Decimal;

/// What the values of a file say about its decimal separator.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    comma: u64,
    point: u64,
    /// A value that can be read both ways, such as `1.234`.
    either: Option<String>,
}

impl Evidence {
    /// Takes a value into account. One with both separators, with one of them twice, or with one
    /// that cannot stand between groups of three digits, says which is the decimal.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        let (commas, points) = (count(value, ','), count(value, '.'));
        match (commas, points) {
            (0, 0) => {}
            (0, 1) if !could_group(value, '.') => self.point += 1,
            (1, 0) if !could_group(value, ',') => self.comma += 1,
            (0, 1) | (1, 0) => {
                if self.either.is_none() {
                    self.either = Some(value.to_owned());
                }
            }
            (0, _) => self.comma += 1,
            (_, 0) => self.point += 1,
            _ if value.rfind(',') > value.rfind('.') => self.comma += 1,
            _ => self.point += 1,
        }
    }

    /// Whether the values settle it.
    pub fn is_settled(&self) -> bool {
        self.comma != self.point
    }

    /// The decimal separator. Where the values leave it open the separator of columns decides:
    /// files split by semicolons come from where the comma is the decimal.
    pub fn decimal(&self, split_by: u8) -> Decimal {
        if self.comma > self.point || (!self.is_settled() && split_by == b';') {
            Decimal::Comma
        } else {
            Decimal::Point
        }
    }

    /// A value that was read one way and could be meant the other.
    pub fn doubtful(&self) -> Option<&str> {
        self.either.as_deref().filter(|_| !self.is_settled())
    }
}

fn count(value: &str, separator: char) -> usize {
    value.matches(separator).count()
}

/// Whether the only separator of a value may part groups of three digits.
fn could_group(value: &str, separator: char) -> bool {
    let digits: String = value
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == separator)
        .collect();
    let (whole, rest) = digits.split_once(separator).unwrap_or((&digits, ""));
    rest.len() == 3 && (1..=3).contains(&whole.len()) && !whole.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_say_how_they_are_written() {
        let of = |values: &[&str], split_by: u8| {
            let mut evidence = Evidence::default();
            for value in values {
                evidence.add(value);
            }
            evidence.decimal(split_by)
        };
        for split_by in [b',', b';', b'\t'] {
            assert_eq!(of(&["1.234,56"], split_by), Decimal::Comma);
            assert_eq!(of(&["1,234.56"], split_by), Decimal::Point);
            assert_eq!(of(&["12,5", "1.234"], split_by), Decimal::Comma);
            assert_eq!(of(&["0.125"], split_by), Decimal::Point);
            assert_eq!(of(&["1234.567"], split_by), Decimal::Point);
            assert_eq!(of(&["1.234.567"], split_by), Decimal::Comma);
            assert_eq!(of(&["R$ 12,50", "7"], split_by), Decimal::Comma);
        }
        assert_eq!(of(&["1.234", "7"], b';'), Decimal::Comma);
        assert_eq!(of(&["1.234", "7"], b','), Decimal::Point);
    }

    #[test]
    fn a_value_that_can_be_read_both_ways_is_named() {
        let mut evidence = Evidence::default();
        evidence.add("7");
        assert_eq!(evidence.doubtful(), None);
        evidence.add("1.234");
        assert_eq!(evidence.doubtful(), Some("1.234"));
        evidence.add("12.50");
        assert_eq!(evidence.doubtful(), None);
    }
}
