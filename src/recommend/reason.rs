//! The sentence of an opportunity, made of its own figures.

use std::fmt;

use crate::domain::{Currency, Kind, Language, Opportunity, Period};

/// One sentence for the sales person: what similar clients do, and what that means here.
pub fn reason(
    opportunity: &Opportunity,
    product: &str,
    currency: Currency,
    period: Period,
    language: Language,
) -> String {
    let style = Style::of(currency, language);
    let money = |minor: i64| Amount { minor, style };
    let (current, expected) = (
        money(opportunity.current_ticket_minor),
        money(opportunity.expected_ticket_minor),
    );
    let (low, high) = (
        money(opportunity.low_ticket_minor),
        money(opportunity.high_ticket_minor),
    );
    let (neighbours, buying) = (opportunity.neighbours, opportunity.neighbours_buying);
    let per = match (language, period) {
        (Language::English, Period::Month) => "a month",
        (Language::English, Period::Quarter) => "a quarter",
        (Language::English, Period::Year) => "a year",
        (Language::Portuguese, Period::Month) => "por mês",
        (Language::Portuguese, Period::Quarter) => "por trimestre",
        (Language::Portuguese, Period::Year) => "por ano",
    };
    let risk = opportunity.score;
    match (language, opportunity.kind) {
        (Language::English, Kind::Lapse) if opportunity.current_ticket_minor > 0 => format!(
            "It loses a share of {product}: had it gone on like clients that buy alike, it would spend {expected} {per}; it spends {current}."
        ),
        (Language::Portuguese, Kind::Lapse) if opportunity.current_ticket_minor > 0 => format!(
            "Perde participação em {product}: se seguisse os clientes parecidos, gastaria {expected} {per}; gasta {current}."
        ),
        (Language::English, Kind::Lapse) => format!(
            "Its next purchase of {product} is overdue: {expected} {per} is at risk, and {buying} of {neighbours} other buyers go on with it."
        ),
        (Language::Portuguese, Kind::Lapse) => format!(
            "A próxima compra de {product} está atrasada: {expected} {per} em risco, e {buying} de {neighbours} outros compradores continuam."
        ),
        (Language::English, Kind::Renewal) => format!(
            "Its contract ends soon: the {expected} {per} that it spends on {product} would be lost with a chance of {risk:.0} in 100."
        ),
        (Language::Portuguese, Kind::Renewal) => format!(
            "O contrato termina em breve: os {expected} {per} que gasta com {product} se perderiam com chance de {risk:.0} em 100."
        ),
        (Language::English, Kind::WinBack) => format!(
            "It stopped buying; on {product} it used to spend what would be {expected} {per} today, and {buying} of {neighbours} other buyers go on with it."
        ),
        (Language::Portuguese, Kind::WinBack) => format!(
            "Parou de comprar; com {product} gastava o que hoje seriam {expected} {per}, e {buying} de {neighbours} outros compradores continuam."
        ),
        (Language::English, Kind::Upsell) => format!(
            "Of {buying} similar clients that buy {product}, half would spend {expected} or more {per} at this client's size and one in five {high} or more; it spends {current}."
        ),
        (Language::English, Kind::CrossSell) => format!(
            "{buying} of {neighbours} similar clients buy {product}; a client of this size starts at about {expected} {per}, mostly between {low} and {high}."
        ),
        (Language::Portuguese, Kind::Upsell) => format!(
            "De {buying} clientes parecidos que compram {product}, metade gastaria {expected} ou mais {per} no porte deste cliente e um em cada cinco, {high} ou mais; ele gasta {current}."
        ),
        (Language::Portuguese, Kind::CrossSell) => format!(
            "{buying} de {neighbours} clientes parecidos compram {product}; um cliente deste porte começa com cerca de {expected} {per}, em geral entre {low} e {high}."
        ),
    }
}

/// How amounts of a currency are written in a language.
#[derive(Clone, Copy)]
struct Style {
    symbol: [u8; 3],
    digits: u32,
    group: char,
    point: char,
}

impl Style {
    fn of(currency: Currency, language: Language) -> Self {
        let (group, point) = match language {
            Language::English => (',', '.'),
            Language::Portuguese => ('.', ','),
        };
        let symbol = match (language, currency.code()) {
            (Language::Portuguese, "BRL") => "R$",
            (_, code) => code,
        };
        let mut letters = [0; 3];
        letters[..symbol.len()].copy_from_slice(symbol.as_bytes());
        Self {
            symbol: letters,
            digits: currency.digits(),
            group,
            point,
        }
    }
}

/// An amount of money, written where it stands: `R$ 7.000,00` in Portuguese, `BRL 7,000.00` in English.
#[derive(Clone, Copy)]
struct Amount {
    minor: i64,
    style: Style,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Style {
            symbol,
            digits,
            group,
            point,
        } = self.style;
        let unit = 10_u64.pow(digits);
        let magnitude = self.minor.unsigned_abs();
        for letter in symbol.into_iter().filter(|letter| *letter != 0) {
            fmt::Write::write_char(f, char::from(letter))?;
        }
        f.write_str(if self.minor < 0 { " -" } else { " " })?;
        grouped(f, magnitude / unit, group)?;
        match digits {
            0 => Ok(()),
            _ => write!(
                f,
                "{point}{:0width$}",
                magnitude % unit,
                width = digits as usize
            ),
        }
    }
}

/// A whole number with a mark between each three digits.
fn grouped(f: &mut fmt::Formatter<'_>, number: u64, mark: char) -> fmt::Result {
    match number {
        0..1_000 => write!(f, "{number}"),
        _ => {
            grouped(f, number / 1_000, mark)?;
            write!(f, "{mark}{:03}", number % 1_000)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_their_readers_write_them() {
        let written = |minor: i64, code: &str, language: Language| {
            let style = Style::of(Currency::parse(code).unwrap(), language);
            Amount { minor, style }.to_string()
        };
        assert_eq!(written(700_000, "BRL", Language::Portuguese), "R$ 7.000,00");
        assert_eq!(
            written(123_456_789, "BRL", Language::English),
            "BRL 1,234,567.89"
        );
        assert_eq!(
            written(-100_005, "BRL", Language::Portuguese),
            "R$ -1.000,05"
        );
        assert_eq!(written(-7, "USD", Language::Portuguese), "USD -0,07");
        assert_eq!(written(1_000, "JPY", Language::English), "JPY 1,000");
        assert_eq!(
            written(1_234_567, "KWD", Language::English),
            "KWD 1,234.567"
        );
        let least = "BRL -92,233,720,368,547,758.08";
        assert_eq!(written(i64::MIN, "BRL", Language::English), least);
    }
}
