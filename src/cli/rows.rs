//! Answers of the server as JSON values, the same in every command.

use serde_json::{Value, json};

use super::output::Column;
use crate::wire::v1;

/// Columns of a list of opportunities.
pub const OPPORTUNITY: [Column; 20] = [
    Column::plain("kind", "kind"),
    Column::plain("client_id", "client"),
    Column::plain("client_name", ""),
    Column::plain("owner", "owner"),
    Column::plain("product_id", ""),
    Column::plain("product_name", "product"),
    Column::plain("category", ""),
    Column::money("current_ticket_minor", "current"),
    Column::money("potential_ticket_minor", "potential"),
    Column::money("gain_minor", "gain"),
    Column::money("low_ticket_minor", ""),
    Column::money("expected_ticket_minor", ""),
    Column::money("high_ticket_minor", ""),
    Column::plain("probability", "probability"),
    Column::plain("score", ""),
    Column::money("priority_minor", "priority"),
    Column::plain("neighbours", ""),
    Column::plain("neighbours_buying", ""),
    Column::plain("currency", ""),
    Column::plain("reason", ""),
];

/// Columns of one client's opportunities; the reasons are too long for a table and follow it.
pub const OF_CLIENT: [Column; 6] = [
    Column::plain("kind", "kind"),
    Column::plain("product_name", "product"),
    Column::money("current_ticket_minor", "current"),
    Column::money("potential_ticket_minor", "potential"),
    Column::money("gain_minor", "gain"),
    Column::plain("probability", "probability"),
];

/// Columns of a list of tickets.
pub const TICKET: [Column; 6] = [
    Column::plain("client_id", "client"),
    Column::plain("product_id", "product"),
    Column::money("ticket_minor", "ticket"),
    Column::money("sales_amount_minor", "sales"),
    Column::plain("last_sale_date", "last sale"),
    Column::plain("set", "set"),
];

/// Columns of a list of similar clients.
pub const SIMILAR: [Column; 5] = [
    Column::plain("client_id", "client"),
    Column::plain("name", "name"),
    Column::plain("similarity", "similarity"),
    Column::plain("common_products", "common products"),
    Column::plain("size_ratio", "size"),
];

/// An opportunity, with the currency of its list.
pub fn opportunity(row: &v1::Opportunity, currency: &str) -> Value {
    let kind = match row.kind() {
        v1::OpportunityKind::Upsell => "upsell",
        v1::OpportunityKind::CrossSell => "cross_sell",
        v1::OpportunityKind::Lapse => "lapse",
        v1::OpportunityKind::Renewal => "renewal",
        v1::OpportunityKind::WinBack => "win_back",
        v1::OpportunityKind::Unspecified => "",
    };
    json!({
        "client_id": row.client_id,
        "client_name": row.client_name,
        "owner": row.owner,
        "product_id": row.product_id,
        "product_name": if row.product_name.is_empty() { &row.product_id } else { &row.product_name },
        "category": row.category,
        "kind": kind,
        "current_ticket_minor": row.current_ticket_minor,
        "potential_ticket_minor": row.potential_ticket_minor,
        "gain_minor": row.gain_minor,
        "low_ticket_minor": row.low_ticket_minor,
        "expected_ticket_minor": row.expected_ticket_minor,
        "high_ticket_minor": row.high_ticket_minor,
        "probability": row.probability,
        "score": row.score,
        "priority_minor": row.priority_minor,
        "neighbours": row.neighbours,
        "neighbours_buying": row.neighbours_buying,
        "currency": currency,
        "reason": row.reason,
    })
}

/// The answer for one client.
pub fn recommendation(answer: &v1::RecommendForClientResponse) -> Value {
    let rows = |rows: &[v1::Opportunity]| -> Vec<Value> {
        rows.iter()
            .map(|row| opportunity(row, &answer.currency))
            .collect()
    };
    json!({
        "client_id": answer.client_id,
        "currency": answer.currency,
        "upsell": rows(&answer.upsell),
        "upsell_total_minor": answer.upsell_total_minor,
        "cross_sell": rows(&answer.cross_sell),
        "cross_sell_total_minor": answer.cross_sell_total_minor,
        "keep": rows(&answer.keep),
        "keep_total_minor": answer.keep_total_minor,
        "notices": notices(&answer.notices),
        "sequence": answer.sequence,
    })
}

/// Reasons for fewer figures.
pub fn notices(notices: &[v1::Notice]) -> Value {
    let notice =
        |notice: &v1::Notice| json!({ "code": notice.code().as_str_name(), "text": notice.text });
    notices.iter().map(notice).collect()
}

/// A ticket.
pub fn ticket(row: &v1::Ticket) -> Value {
    json!({
        "client_id": row.client_id,
        "product_id": row.product_id,
        "ticket_minor": row.ticket_minor,
        "sales_amount_minor": row.sales_amount_minor,
        "last_sale_date": row.last_sale_date,
        "set": row.set,
    })
}

/// A similar client.
pub fn similar(row: &v1::SimilarClient) -> Value {
    json!({
        "client_id": row.client_id,
        "name": row.name,
        "similarity": row.similarity,
        "common_products": row.common_products,
        "size_ratio": row.size_ratio,
    })
}
