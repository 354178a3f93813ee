//! The sentence of an opportunity, made of its own figures.

use crate::domain::{Currency, Kind, Language, Opportunity, Period};

/// One sentence for the sales person: what similar clients do, and what that means here.
pub fn reason(
    opportunity: &Opportunity,
    product: &str,
    currency: Currency,
    period: Period,
    language: Language,
) -> String {
    let money = |minor: i64| amount(minor, currency, language);
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
    match (language, opportunity.kind) {
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

/// `R$ 7.000,00` in Portuguese, `BRL 7,000.00` in English.
fn amount(minor: i64, currency: Currency, language: Language) -> String {
    let (group, point) = match language {
        Language::English => (',', '.'),
        Language::Portuguese => ('.', ','),
    };
    let symbol = match (language, currency.code()) {
        (Language::Portuguese, "BRL") => "R$",
        (_, code) => code,
    };
    let decimal = currency.decimal(minor);
    let (whole, fraction) = decimal.split_once('.').unwrap_or((&decimal, ""));
    let digits = whole.trim_start_matches('-');
    let mut text = format!("{symbol} ");
    if whole.starts_with('-') {
        text.push('-');
    }
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(group);
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push(point);
        text.push_str(fraction);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_their_readers_write_them() {
        let real = Currency::parse("BRL").unwrap();
        assert_eq!(amount(700_000, real, Language::Portuguese), "R$ 7.000,00");
        assert_eq!(
            amount(123_456_789, real, Language::English),
            "BRL 1,234,567.89"
        );
        let yen = Currency::parse("JPY").unwrap();
        assert_eq!(amount(1_000, yen, Language::English), "JPY 1,000");
    }
}
