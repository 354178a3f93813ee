//! Opportunities, filters and notices, between the contract and the domain.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt::Display;

use super::client_filter::{MAX_FILTER, client_filter};
use super::form::Form;
use crate::domain::{Kind, Language, Opportunity, ProductId, ProductNo, Shortfall, Text};
use crate::engine::{Book, EngineError, Insighted};
use crate::pipeline::{Filter, Order};
use crate::recommend::reason;
use crate::wire::v1;

/// Writes opportunities of one book in one language.
pub(super) struct Writer<'a> {
    pub(super) book: &'a Book,
    pub(super) language: Language,
}

impl Writer<'_> {
    /// An opportunity of a client of the book, or of one that is only supposed.
    pub(super) fn opportunity(&self, opportunity: &Opportunity, supposed: bool) -> v1::Opportunity {
        let client = match supposed {
            true => None,
            false => self.book.clients().get(opportunity.client.0),
        };
        let product = self.book.products().get(opportunity.product.0);
        let text = |text: Option<&Text>| text.map_or(String::new(), ToString::to_string);
        let name = product.map_or("", |product| match product.name.as_str() {
            "" => product.id.as_str(),
            name => name,
        });
        let portfolio = self.book.portfolio();
        v1::Opportunity {
            client_id: client.map_or(String::new(), |client| client.id.to_string()),
            client_name: text(client.map(|client| &client.name)),
            owner: text(client.map(|client| &client.owner)),
            product_id: product.map_or(String::new(), |product| product.id.to_string()),
            product_name: text(product.map(|product| &product.name)),
            category: text(product.map(|product| &product.category)),
            kind: kind_to_wire(opportunity.kind).into(),
            current_ticket_minor: opportunity.current_ticket_minor,
            potential_ticket_minor: opportunity.potential_ticket_minor,
            gain_minor: opportunity.gain_minor,
            low_ticket_minor: opportunity.low_ticket_minor,
            expected_ticket_minor: opportunity.expected_ticket_minor,
            high_ticket_minor: opportunity.high_ticket_minor,
            probability: opportunity.probability,
            score: opportunity.score,
            priority_minor: opportunity.priority_minor.round() as i64,
            neighbours: opportunity.neighbours,
            neighbours_buying: opportunity.neighbours_buying,
            reason: reason(
                opportunity,
                name,
                portfolio.currency,
                portfolio.period,
                self.language,
            ),
        }
    }

    /// Why there may be fewer rows than expected.
    pub(super) fn notices(&self, shortfalls: &BTreeSet<Shortfall>) -> Vec<v1::Notice> {
        shortfalls
            .iter()
            .map(|shortfall| self.notice(*shortfall))
            .collect()
    }

    fn notice(&self, shortfall: Shortfall) -> v1::Notice {
        use v1::NoticeCode;
        let (code, english, portuguese) = match shortfall {
            Shortfall::TooFewClients => (
                NoticeCode::TooFewClients,
                "The portfolio has too few clients with purchases to compare with; add more of them.",
                "A carteira tem poucos clientes com compras para comparar; inclua mais clientes.",
            ),
            Shortfall::NothingKnown => (
                NoticeCode::NothingKnown,
                "Nothing is known of this client: it has no ticket and no attribute that others share.",
                "Nada se sabe deste cliente: não tem compras nem atributos em comum com outros.",
            ),
            Shortfall::AttributesOnly => (
                NoticeCode::AttributesOnly,
                "The client has bought nothing yet; the figures rest on its attributes alone.",
                "O cliente ainda não comprou; os valores se baseiam apenas nos seus atributos.",
            ),
            Shortfall::TooFewNeighbours => (
                NoticeCode::TooFewNeighbours,
                "Some products were left out because too few similar clients buy them.",
                "Alguns produtos ficaram de fora porque poucos clientes parecidos os compram.",
            ),
            Shortfall::Uncalibrated => (
                NoticeCode::Uncalibrated,
                "The history is too short to calibrate on; probabilities rest on the recipe's prior.",
                "O histórico é curto demais para calibrar; as probabilidades seguem o padrão da receita.",
            ),
            Shortfall::HeldOut => (
                NoticeCode::HeldOut,
                "The client is held out so that the effect of offering can be measured; nothing is shown of it.",
                "O cliente está no grupo de controle, para medir o efeito das ofertas; nada dele é mostrado.",
            ),
            Shortfall::KeepFirst => (
                NoticeCode::KeepFirst,
                "The client is likely to stop buying: keep it before selling it more.",
                "É provável que o cliente pare de comprar: mantenha-o antes de vender mais.",
            ),
        };
        let text = match self.language {
            Language::English => english,
            Language::Portuguese => portuguese,
        };
        v1::Notice {
            code: code.into(),
            text: text.to_owned(),
        }
    }
}

/// Sum of the gains.
pub(super) fn total_gain<O: Borrow<Opportunity>>(
    opportunities: impl IntoIterator<Item = O>,
) -> i64 {
    opportunities.into_iter().fold(0_i64, |sum, opportunity| {
        sum.saturating_add(opportunity.borrow().gain_minor)
    })
}

/// A kind as the contract names it.
pub(super) fn kind_to_wire(kind: Kind) -> v1::OpportunityKind {
    match kind {
        Kind::Upsell => v1::OpportunityKind::Upsell,
        Kind::CrossSell => v1::OpportunityKind::CrossSell,
        Kind::Lapse => v1::OpportunityKind::Lapse,
        Kind::Renewal => v1::OpportunityKind::Renewal,
        Kind::WinBack => v1::OpportunityKind::WinBack,
    }
}

/// A kind; `Some(None)` where none was named.
pub(super) fn kind(form: &mut Form, field: impl Display, raw: i32) -> Option<Option<Kind>> {
    match v1::OpportunityKind::try_from(raw) {
        Ok(v1::OpportunityKind::Unspecified) => Some(None),
        Ok(v1::OpportunityKind::Upsell) => Some(Some(Kind::Upsell)),
        Ok(v1::OpportunityKind::CrossSell) => Some(Some(Kind::CrossSell)),
        Ok(v1::OpportunityKind::Lapse) => Some(Some(Kind::Lapse)),
        Ok(v1::OpportunityKind::Renewal) => Some(Some(Kind::Renewal)),
        Ok(v1::OpportunityKind::WinBack) => Some(Some(Kind::WinBack)),
        Err(_) => {
            form.refuse(field, format!("has no value {raw}"));
            None
        }
    }
}

/// An order; priority where none was named.
pub(super) fn order(form: &mut Form, raw: i32) -> Option<Order> {
    match v1::OpportunityOrder::try_from(raw) {
        Ok(v1::OpportunityOrder::Unspecified | v1::OpportunityOrder::Priority) => {
            Some(Order::Priority)
        }
        Ok(v1::OpportunityOrder::Gain) => Some(Order::Gain),
        Ok(v1::OpportunityOrder::Probability) => Some(Order::Probability),
        Err(_) => {
            form.refuse("order", format!("has no value {raw}"));
            None
        }
    }
}

/// A filter of a book's opportunities. Ids that the book does not have are refused: a list without
/// rows would hide the slip. `insighted` is needed where segments are asked for.
pub(super) fn filter(
    form: &mut Form,
    book: &Book,
    wire: &v1::OpportunityFilter,
    insighted: Option<&Insighted>,
) -> Result<Option<Filter>, EngineError> {
    let lists = [
        ("kinds", wire.kinds.len()),
        ("product_ids", wire.product_ids.len()),
        ("categories", wire.categories.len()),
    ];
    for (name, len) in lists {
        if len > MAX_FILTER {
            form.refuse(
                format!("filter.{name}"),
                format!("has {len} entries; at most {MAX_FILTER}"),
            );
            return Ok(None);
        }
    }
    let clients = v1::ClientFilter {
        client_ids: wire.client_ids.clone(),
        owners: wire.owners.clone(),
        attributes: wire.attributes.clone(),
        states: wire.states.clone(),
        life_cycles: wire.life_cycles.clone(),
        tiers: wire.tiers.clone(),
        min_churn_probability: wire.min_churn_probability,
        segment_ids: wire.segment_ids.clone(),
    };
    let Some(clients) = client_filter(form, book, &clients, insighted)? else {
        return Ok(None);
    };
    let mut filter = Filter {
        clients,
        min_gain_minor: wire.min_gain_minor,
        ..Filter::default()
    };
    for (at, raw) in wire.kinds.iter().enumerate() {
        let field = format!("filter.kinds[{at}]");
        match kind(form, &field, *raw) {
            Some(Some(kind)) => {
                filter.kinds.insert(kind);
            }
            Some(None) => form.refuse(field, "must name a kind"),
            None => return Ok(None),
        }
    }
    if !wire.product_ids.is_empty() {
        let mut numbers = BTreeSet::new();
        for (at, raw) in wire.product_ids.iter().enumerate() {
            let field = format!("filter.product_ids[{at}]");
            let id: Option<ProductId> = form.product(&field, raw);
            match id.and_then(|id| book.products().number(&id)) {
                Some(number) => {
                    numbers.insert(ProductNo(number));
                }
                None => form.refuse(
                    field,
                    format!("names '{raw}', which the portfolio does not have"),
                ),
            }
        }
        filter.products = Some(numbers);
    }
    for (at, raw) in wire.categories.iter().enumerate() {
        filter
            .categories
            .extend(form.text(format!("filter.categories[{at}]"), raw));
    }
    if wire.min_gain_minor < 0 {
        form.refuse("filter.min_gain_minor", "must not be negative");
    }
    if !(0.0..=1.0).contains(&wire.min_probability) {
        form.refuse("filter.min_probability", "must be a number from 0 to 1");
    }
    filter.min_probability = wire.min_probability;
    Ok(Some(filter))
}
