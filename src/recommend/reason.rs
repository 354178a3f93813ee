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
    let risk = opportunity.score;
    match (language, opportunity.kind) {
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
