//! The effect report, as the contract has it.

use super::outcomes::reason_to_wire;
use crate::domain::{Language, Portfolio};
use crate::engine::Effect;
use crate::outcome::{Conversion, Group, LEAST_CLIENTS, Uplift, Verdict};
use crate::wire::v1;

pub(super) fn to_wire(effect: &Effect, portfolio: &Portfolio) -> v1::GetEffectReportResponse {
    let report = &effect.report;
    let mut reasons: Vec<_> = report.reject_reasons.iter().collect();
    reasons.sort_by_key(|(reason, offers)| (std::cmp::Reverse(**offers), **reason));
    v1::GetEffectReportResponse {
        currency: portfolio.currency.to_string(),
        from_date: effect.from.map_or(String::new(), |day| day.to_string()),
        to_date: effect.to.to_string(),
        months: effect.months,
        held_out_share: effect.held_out_share,
        conversions: report
            .conversions
            .iter()
            .map(|(group, row)| conversion(group, row))
            .collect(),
        uplifts: report
            .uplifts
            .iter()
            .map(|(group, row)| uplift(group, row, effect.months, portfolio))
            .collect(),
        reject_reasons: reasons
            .into_iter()
            .map(|(reason, offers)| v1::RejectReasonCount {
                reason: reason_to_wire(*reason).into(),
                offers: *offers,
            })
            .collect(),
        wallets: Some(v1::WalletAgreement {
            offers: report.wallets.map_or(0, |wallets| wallets.offers as u64),
            median_ratio: report.wallets.map(|wallets| wallets.median_ratio),
            within_double: report.wallets.map(|wallets| wallets.within_double),
        }),
        calibration: effect.learnt.map(|learnt| v1::OutcomeCalibration {
            outcomes: learnt.outcomes as u64,
            in_use: learnt.in_use,
            shift: learnt.correction.shift,
            scale: learnt.correction.scale,
            loss_before: learnt.loss_before,
            loss_after: learnt.loss_after,
        }),
        sequence: effect.sequence,
    }
}

fn group_to_wire(group: &Group) -> (i32, String) {
    let (kind, value) = match group {
        Group::All => (v1::ConversionGroup::All, String::new()),
        Group::Kind(kind) => (v1::ConversionGroup::Kind, kind.name().to_owned()),
        Group::Owner(owner) => (v1::ConversionGroup::Owner, owner.to_string()),
        Group::Segment(segment) => (v1::ConversionGroup::Segment, segment.to_string()),
        Group::Decile(decile) => (v1::ConversionGroup::Decile, decile.to_string()),
    };
    (kind.into(), value)
}

fn conversion(group: &Group, row: &Conversion) -> v1::Conversion {
    let (group, value) = group_to_wire(group);
    let rate = row.rate();
    v1::Conversion {
        group,
        value,
        shown: row.shown,
        won: row.won,
        lost: row.lost,
        rejected: row.rejected,
        postponed: row.postponed,
        open: row.open(),
        conversion: rate.map(|[rate, ..]| rate),
        conversion_low: rate.map(|[_, low, _]| low),
        conversion_high: rate.map(|[.., high]| high),
        foretold: row.foretold,
        won_ticket_minor: row.won_ticket_minor,
    }
}

fn uplift(group: &Group, row: &Uplift, months: u32, portfolio: &Portfolio) -> v1::Uplift {
    let (group, value) = group_to_wire(group);
    let [low, high] = row.interval;
    let verdict = match row.verdict {
        Verdict::TooLittle => v1::Verdict::TooLittle,
        Verdict::NotShown => v1::Verdict::NotShown,
        Verdict::Gain => v1::Verdict::Gain,
        Verdict::Loss => v1::Verdict::Loss,
    };
    v1::Uplift {
        group,
        value,
        shown_clients: row.shown_clients as u64,
        held_out_clients: row.held_out_clients as u64,
        shown_mean_minor: row.shown_mean,
        held_out_mean_minor: row.held_out_mean,
        uplift_minor: row.uplift,
        uplift_low_minor: low,
        uplift_high_minor: high,
        total_minor: (row.uplift * row.shown_clients as f64 * f64::from(months)).round() as i64,
        verdict: verdict.into(),
        text: text(row, portfolio),
    }
}

/// The verdict as a sentence.
fn text(row: &Uplift, portfolio: &Portfolio) -> String {
    let money = |minor: f64| {
        let amount = portfolio.currency.decimal(minor.round() as i64);
        format!("{} {amount}", portfolio.currency)
    };
    let (shown, held) = (row.shown_clients, row.held_out_clients);
    let [low, high] = row.interval.map(money);
    let uplift = money(row.uplift);
    let portuguese = portfolio.language == Language::Portuguese;
    // The interval narrows with the square root of the clients.
    let half = (row.interval[1] - row.interval[0]) / 2.0;
    let times = (half / row.uplift.abs()).powi(2).ceil();
    match (row.verdict, portuguese) {
        (Verdict::TooLittle, false) => format!(
            "Too little to tell: {shown} clients were shown offers and {held} were held out; at least {LEAST_CLIENTS} of each are wanted. The recipe's outcomes.held_out_share sets how many are held out."
        ),
        (Verdict::TooLittle, true) => format!(
            "Poucos dados: {shown} clientes viram ofertas e {held} ficaram no grupo de controle; são precisos ao menos {LEAST_CLIENTS} de cada. O parâmetro outcomes.held_out_share da receita define o grupo de controle."
        ),
        (Verdict::NotShown, _) if times.is_finite() && times <= 1_000.0 => match portuguese {
            false => format!(
                "No effect can be claimed: between {low} and {high} a client and month. An effect of {uplift} would show with about {times} times as many clients."
            ),
            true => format!(
                "Nenhum efeito comprovado: entre {low} e {high} por cliente e mês. Um efeito de {uplift} apareceria com cerca de {times} vezes mais clientes."
            ),
        },
        (Verdict::NotShown, false) => {
            format!("No effect can be claimed: between {low} and {high} a client and month.")
        }
        (Verdict::NotShown, true) => {
            format!("Nenhum efeito comprovado: entre {low} e {high} por cliente e mês.")
        }
        (Verdict::Gain | Verdict::Loss, false) => format!(
            "Offering changed sales by {uplift} a client and month; with 95 % certainty by {low} to {high}."
        ),
        (Verdict::Gain | Verdict::Loss, true) => format!(
            "As ofertas mudaram as vendas em {uplift} por cliente e mês; com 95 % de certeza, entre {low} e {high}."
        ),
    }
}
