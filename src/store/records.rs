//! Records: what a payload holds, as bytes and back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::error::{Code, Fault};

/// What a portfolio's meta record says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PortfolioMeta {
    /// Requests applied to it.
    pub(crate) sequence: u64,
    /// Its values, but this one.
    pub(crate) records: u64,
    /// Over the same values.
    pub(crate) digest: Digest,
    /// The number that the next new client gets. Numbers of removed clients are below it.
    pub(crate) next_client: u32,
    /// The number that the next new product gets.
    pub(crate) next_product: u32,
}

/// What the store's meta record says of the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoreMeta {
    /// Drawn once: tells one data folder's files from another's.
    pub(crate) id: [u8; 16],
    /// Commits done.
    pub(crate) commit: u64,
    /// Portfolios there are.
    pub(crate) portfolios: u32,
    /// The number that the next new portfolio gets.
    pub(crate) next_portfolio: u32,
    /// Values in all portfolios, without meta records.
    pub(crate) records: u64,
    /// Over the meta records of all portfolios.
    pub(crate) digest: Digest,
}

/// An answer as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AnswerRecord {
    pub(crate) answered_at_unix: i64,
    pub(crate) bytes: Vec<u8>,
}

/// Writes a record.
pub(crate) fn encode<T: Serialize + ?Sized>(what: &T) -> Result<Vec<u8>, Fault> {
    postcard::to_allocvec(what).map_err(|error| Fault::new(Code::Record, error.to_string()))
}

/// Reads a record, all of it.
pub(crate) fn decode<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Fault> {
    match postcard::take_from_bytes(bytes) {
        Ok((record, [])) => Ok(record),
        Ok(_) => Err(Fault::new(Code::Record, format!("a {name} is too long"))),
        Err(error) => {
            let what = format!("a {name} does not read: {error}");
            Err(Fault::new(Code::Record, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::{
        Action, ActionId, ActionState, Aim, Attribute, Baseline, Client, ClientGroup, ClientId,
        Day, MAX_ACTIONS, MAX_ID_BYTES, MAX_OUTCOMES, MAX_SHOWINGS, MAX_TEXT_BYTES, Measure,
        Measured, Objective, ObjectiveId, Offer, Outcome, Portfolio, Product, ProductId,
        ReportedOutcome, Showing, Text,
    };
    use proptest::prelude::*;

    prop_compose! {
        fn clients()(
            id in "[a-zà-ÿ日]{1,20}",
            name in "[^\\p{Cc}]{0,40}",
            owner in "[A-Z]{0,10}",
            texts in prop::collection::btree_map("[a-z]{1,9}", "[A-Z]{0,9}", 0..9),
            numbers in prop::collection::btree_map("[0-9]{1,9}", -1e12..1e12f64, 0..9),
            excluded in prop::collection::btree_set("[a-z]{1,9}", 0..9),
        ) -> Client {
            let text = |raw: &str| Text::parse(raw).unwrap();
            let texts = texts.iter().map(|(k, v)| (text(k), Attribute::Text(text(v))));
            let numbers = numbers.iter().map(|(k, v)| (text(k), Attribute::Number(*v)));
            Client {
                id: ClientId::parse(&id).unwrap(),
                name: text(&name),
                owner: text(&owner),
                attributes: texts.chain(numbers).collect::<BTreeMap<_, _>>(),
                excluded_products: excluded
                    .iter()
                    .map(|raw| ProductId::parse(raw).unwrap())
                    .collect::<BTreeSet<_>>(),
            }
        }
    }

    proptest! {
        #[test]
        fn a_client_comes_back_from_its_record(client in clients()) {
            let bytes = encode(&client).unwrap();
            prop_assert_eq!(decode::<Client>("client", &bytes).unwrap(), client);
            prop_assert!(decode::<Client>("client", &[&bytes[..], &[0]].concat()).is_err());
        }

        #[test]
        fn damaged_records_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<Client>("client", &bytes);
            let _ = decode::<Product>("product", &bytes);
            let _ = decode::<Portfolio>("portfolio", &bytes);
            let _ = decode::<PortfolioMeta>("meta record", &bytes);
            let _ = decode::<AnswerRecord>("request answer", &bytes);
            let _ = decode::<Offer>("offer", &bytes);
            let _ = decode::<Objective>("objective", &bytes);
        }
    }

    #[test]
    fn the_largest_offer_fits_a_record() {
        let mut offer = Offer::default();
        for day in 0..MAX_SHOWINGS.max(MAX_OUTCOMES) as i32 {
            let day = Day::parse("2199-12-31").unwrap().plus(-day);
            offer.show(Showing {
                day,
                probability: 0.1,
                history_probability: 0.1,
                potential_minor: i64::MIN,
                gain_minor: i64::MIN,
                held_out: true,
            });
            let _ = offer.report(ReportedOutcome {
                day,
                outcome: Outcome::Won {
                    ticket_minor: i64::MIN,
                },
                wallet_minor: Some(i64::MIN),
                note: Text::parse(&"x".repeat(MAX_TEXT_BYTES)).unwrap(),
            });
        }
        assert_eq!(offer.showings().len(), MAX_SHOWINGS);
        assert_eq!(offer.outcomes().len(), MAX_OUTCOMES);
        let bytes = encode(&offer).unwrap();
        assert!(
            crate::store::value::chunks(&bytes).is_some(),
            "{}",
            bytes.len()
        );
        assert_eq!(decode::<Offer>("offer", &bytes).unwrap(), offer);
    }

    #[test]
    fn the_largest_objective_fits_a_record() {
        let text = || Text::parse(&"x".repeat(MAX_TEXT_BYTES)).unwrap();
        let day = Day::parse("2199-12-31").unwrap();
        let aim = Aim {
            id: ObjectiveId::parse(&"o".repeat(MAX_ID_BYTES)).unwrap(),
            title: text(),
            group: ClientGroup {
                by: text(),
                value: text(),
            },
            measure: Measure::WonTickets,
            target: Measured::Minor(i64::MIN),
            due: day,
        };
        let baseline = Baseline {
            day,
            value: Measured::Minor(i64::MIN),
            clients: u64::MAX,
        };
        let mut objective = Objective::new(aim, baseline);
        for at in 0..MAX_ACTIONS {
            let action = Action {
                id: ActionId::parse(&format!("{at:0>MAX_ID_BYTES$}")).unwrap(),
                day,
                text: text(),
                owner: text(),
                state: ActionState::Dropped,
            };
            assert_eq!(objective.act(action), Ok(true));
        }
        let bytes = encode(&objective).unwrap();
        assert!(
            crate::store::value::chunks(&bytes).is_some(),
            "{}",
            bytes.len()
        );
        assert_eq!(decode::<Objective>("objective", &bytes).unwrap(), objective);
    }
}
