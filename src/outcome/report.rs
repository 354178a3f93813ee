//! The effect of offers, put together.

use std::collections::{BTreeMap, BTreeSet};

use super::conversion::{Conversion, Group, conversions};
use super::uplift::{Arm, Uplift, uplift};
use super::wallet::WalletAgreement;
use crate::domain::{ClientNo, Day, Kind, Outcome, ProductNo, RejectReason, Text};

/// One offer that was logged, with what the report counts of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// To whom.
    pub client: ClientNo,
    /// Of what.
    pub product: ProductNo,
    /// Which kind.
    pub kind: Kind,
    /// Who looks after the client.
    pub owner: Text,
    /// The client's segment, where it has one.
    pub segment: Option<Text>,
    /// When it was first logged within the report.
    pub day: Day,
    /// Whether it was held out then.
    pub held_out: bool,
    /// The probability given then.
    pub probability: f64,
    /// The gain given then, in minor units a month.
    pub gain_minor: f64,
    /// The potential ticket given then, in minor units per period.
    pub potential_minor: i64,
    /// What became of it since.
    pub outcome: Option<Outcome>,
    /// What the seller believes the wallet is, in minor units per period.
    pub wallet_minor: Option<i64>,
    /// Sales of the product to the client over the report's months, in minor units a month.
    pub sales_minor: f64,
    /// The same over as many months before.
    pub earlier_minor: f64,
}

/// What became of offers and what they earned.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectReport {
    /// Conversion by group.
    pub conversions: BTreeMap<Group, Conversion>,
    /// Effect in money: all, by kind, by segment.
    pub uplifts: Vec<(Group, Uplift)>,
    /// How often a reason was given.
    pub reject_reasons: BTreeMap<RejectReason, u64>,
    /// Sellers' estimates beside ours.
    pub wallets: Option<WalletAgreement>,
}

/// Puts the report together. Cost: a few sorts of what was logged.
pub fn report(logged: &[Logged]) -> EffectReport {
    let mut reject_reasons = BTreeMap::new();
    for offer in logged.iter().filter(|offer| !offer.held_out) {
        if let Some(Outcome::Rejected(reason)) = offer.outcome {
            *reject_reasons.entry(reason).or_insert(0) += 1;
        }
    }
    let mut groups = BTreeSet::from([Group::All]);
    for offer in logged {
        groups.insert(Group::Kind(offer.kind));
        groups.extend(offer.segment.clone().map(Group::Segment));
    }
    let uplifts = groups.into_iter().map(|group| {
        let of_group = logged.iter().filter(|offer| match &group {
            Group::Kind(kind) => offer.kind == *kind,
            Group::Segment(segment) => offer.segment.as_ref() == Some(segment),
            _ => true,
        });
        let (shown, held_out) = arms(of_group);
        (group, uplift(&shown, &held_out))
    });
    EffectReport {
        uplifts: uplifts.collect(),
        conversions: conversions(logged),
        reject_reasons,
        wallets: WalletAgreement::of(
            logged
                .iter()
                .filter_map(|offer| Some((offer.potential_minor, offer.wallet_minor?))),
        ),
    }
}

/// The clients of each arm. Of each client only the offers of its first day count: what stands in the
/// list later depends on what became of these, and so on the arm. Sales of a product count once, however
/// many kinds of offers it was in. A client of both arms, since the share changed, counts in none.
fn arms<'a>(logged: impl Iterator<Item = &'a Logged>) -> (Arm, Arm) {
    struct Client {
        day: Day,
        held_out: [bool; 2],
        products: BTreeSet<ProductNo>,
        expected: f64,
        came: f64,
    }
    let mut clients: BTreeMap<ClientNo, Client> = BTreeMap::new();
    for offer in logged {
        let new = || Client {
            day: offer.day,
            held_out: [false; 2],
            products: BTreeSet::new(),
            expected: 0.0,
            came: 0.0,
        };
        let client = clients.entry(offer.client).or_insert_with(new);
        client.held_out[usize::from(offer.held_out)] = true;
        if offer.day < client.day {
            let held_out = client.held_out;
            *client = Client { held_out, ..new() };
        }
        if offer.day == client.day {
            client.expected += offer.probability * offer.gain_minor;
            if client.products.insert(offer.product) {
                client.expected += offer.earlier_minor;
                client.came += offer.sales_minor;
            }
        }
    }
    let (mut shown, mut held_out) = (Arm::default(), Arm::default());
    for client in clients.into_values() {
        let point = (client.expected, client.came);
        match client.held_out {
            [true, false] => shown.clients.push(point),
            [false, true] => held_out.clients.push(point),
            _ => {}
        }
    }
    (shown, held_out)
}
