//! One sentence that says why, made of the receipt's figures.

use crate::domain::{Currency, Kind, Language, Opportunity, Period};

/// The words a sentence needs beside the figures.
#[derive(Debug, Clone, Copy)]
pub struct ReasonNames<'a> {
    /// What people call the product.
    pub product: &'a str,
    /// What the amounts are of.
    pub currency: Currency,
    /// What a ticket is stated for.
    pub period: Period,
}

/// Why an opportunity is one, in a sentence.
///
/// Every figure in it stands in the opportunity or its receipt; tickets of similar clients are
/// those brought to this client's size.
pub fn reason(language: Language, names: &ReasonNames<'_>, offer: &Opportunity) -> String {
    let words = Words { language, names };
    match offer.kind {
        Kind::Upsell => words.upsell(offer),
        Kind::CrossSell => words.cross_sell(offer),
    }
}

struct Words<'a> {
    language: Language,
    names: &'a ReasonNames<'a>,
}

impl Words<'_> {
    fn upsell(&self, offer: &Opportunity) -> String {
        let (product, n) = (self.names.product, offer.neighbours_buying);
        let current = self.money(offer.current_ticket_minor);
        let half = self.money(offer.expected_ticket_minor);
        let fifth = self.money(offer.potential_ticket_minor);
        let per = self.per();
        match self.language {
            Language::English => {
                let clients = if n == 1 { "client buys" } else { "clients buy" };
                format!(
                    "{n} similar {clients} {product}; at this client's size, half of them would \
                     spend {half} or more {per} and one in five {fifth} or more, against {current} now."
                )
            }
            Language::Portuguese => {
                let clients = if n == 1 {
                    "cliente parecido compra"
                } else {
                    "clientes parecidos compram"
                };
                format!(
                    "{n} {clients} {product}; no porte deste cliente, metade deles gastaria {half} \
                     ou mais {per} e um em cada cinco, {fifth} ou mais, contra {current} hoje."
                )
            }
        }
    }

    fn cross_sell(&self, offer: &Opportunity) -> String {
        let (product, n, buying) = (
            self.names.product,
            offer.neighbours,
            offer.neighbours_buying,
        );
        let half = self.money(offer.expected_ticket_minor);
        let chance = (offer.probability * 100.0).round();
        let per = self.per();
        match self.language {
            Language::English => {
                let buy = if buying == 1 { "buys" } else { "buy" };
                let clients = if n == 1 { "client" } else { "clients" };
                format!(
                    "{buying} of {n} similar {clients} {buy} {product} and this one does not yet; \
                     at its size, half of those who buy would spend {half} or more {per}; \
                     the chance that it starts is {chance} %."
                )
            }
            Language::Portuguese => {
                let buy = if buying == 1 { "compra" } else { "compram" };
                let clients = if n == 1 {
                    "cliente parecido"
                } else {
                    "clientes parecidos"
                };
                format!(
                    "{buying} de {n} {clients} {buy} {product}, e este ainda não; no porte dele, \
                     metade de quem compra gastaria {half} ou mais {per}; \
                     a chance de que comece é de {chance} %."
                )
            }
        }
    }

    fn per(&self) -> &'static str {
        match (self.language, self.names.period) {
            (Language::English, Period::Month) => "a month",
            (Language::English, Period::Quarter) => "a quarter",
            (Language::English, Period::Year) => "a year",
            (Language::Portuguese, Period::Month) => "por mês",
            (Language::Portuguese, Period::Quarter) => "por trimestre",
            (Language::Portuguese, Period::Year) => "por ano",
        }
    }

    /// An amount as the language writes it: `R$ 4,200.00`, `R$ 4.200,00`.
    fn money(&self, amount_minor: i64) -> String {
        let plain = self.names.currency.decimal(amount_minor);
        let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, ""));
        let (sign, digits) = match whole.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", whole),
        };
        let (thousands, point) = match self.language {
            Language::English => (',', '.'),
            Language::Portuguese => ('.', ','),
        };
        let mut grouped = String::with_capacity(digits.len() * 2);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(thousands);
            }
            grouped.push(digit);
        }
        if !decimals.is_empty() {
            grouped.push(point);
            grouped.push_str(decimals);
        }
        let symbol = match self.names.currency.code() {
            "BRL" => "R$",
            "USD" => "US$",
            "EUR" => "€",
            "GBP" => "£",
            code => code,
        };
        format!("{symbol} {sign}{grouped}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientNo, ProductNo};

    fn offer(kind: Kind) -> Opportunity {
        Opportunity {
            client: ClientNo(0),
            product: ProductNo(0),
            kind,
            current_ticket_minor: 700_000,
            low_ticket_minor: 800_000,
            expected_ticket_minor: 912_000,
            high_ticket_minor: 1_000_000,
            potential_ticket_minor: 1_000_000,
            gain_minor: 300_000,
            probability: 0.418,
            score: 90.0,
            priority_minor: 1.0,
            neighbours: 15,
            neighbours_buying: 12,
        }
    }

    #[test]
    fn reasons_read_well_in_both_languages() {
        let names = |product| ReasonNames {
            product,
            currency: Currency::parse("BRL").unwrap(),
            period: Period::Month,
        };
        assert_eq!(
            reason(Language::English, &names("milk"), &offer(Kind::Upsell)),
            "12 similar clients buy milk; at this client's size, half of them would spend \
             R$ 9,120.00 or more a month and one in five R$ 10,000.00 or more, against R$ 7,000.00 now."
        );
        assert_eq!(
            reason(Language::Portuguese, &names("leite"), &offer(Kind::Upsell)),
            "12 clientes parecidos compram leite; no porte deste cliente, metade deles gastaria \
             R$ 9.120,00 ou mais por mês e um em cada cinco, R$ 10.000,00 ou mais, contra \
             R$ 7.000,00 hoje."
        );
        assert_eq!(
            reason(Language::English, &names("cheese"), &offer(Kind::CrossSell)),
            "12 of 15 similar clients buy cheese and this one does not yet; at its size, half of \
             those who buy would spend R$ 9,120.00 or more a month; the chance that it starts is 42 %."
        );
        assert_eq!(
            reason(
                Language::Portuguese,
                &names("queijo"),
                &offer(Kind::CrossSell)
            ),
            "12 de 15 clientes parecidos compram queijo, e este ainda não; no porte dele, metade \
             de quem compra gastaria R$ 9.120,00 ou mais por mês; a chance de que comece é de 42 %."
        );
    }
}
