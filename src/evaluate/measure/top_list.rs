//! The first ten products offered to a client: how many of those it took up are among them.

use serde::Serialize;

use super::ranking;

/// Products in a list.
const LISTED: usize = 10;

/// How good lists of ten are, over the clients that took up at least one product.
///
/// Recall is the share of a client's new products in its list; NDCG (Järvelin, Kekäläinen, TOIS
/// 2002) weighs each by `1 / log2(1 + rank)` against the best list there could be; both are means
/// over clients. Money is that of the new products in lists ordered by expected money, over all new
/// money of these clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TopList {
    /// Clients that took something up.
    pub clients: usize,
    /// Mean share of a client's new products in its first ten by probability, 0 to 1.
    pub recall: f64,
    /// Mean discounted gain of that list over the ideal one's, 0 to 1.
    pub ndcg: f64,
    /// New money in the first ten by expected money, over all new money.
    pub money: f64,
    /// The most that lists of ten could hold of it.
    pub money_ceiling: f64,
}

/// One client's pairs: products not bought.
#[derive(Debug, Clone, Copy)]
pub struct Listable<'a> {
    /// Probability of each; 0 for one that is never listed.
    pub probability: &'a [f64],
    /// Expected money of each.
    pub money: &'a [f64],
    /// What came: money a month, 0 for nothing.
    pub real: &'a [f64],
}

/// Measures the lists of clients. Cost: a sort of each client's pairs, three times.
pub fn top_list<'a>(clients: impl IntoIterator<Item = Listable<'a>>) -> Option<TopList> {
    let mut counted = 0_usize;
    let (mut recall, mut ndcg) = (0.0, 0.0);
    let (mut money, mut best, mut all) = (0.0, 0.0, 0.0);
    for client in clients {
        let new = client.real.iter().filter(|real| **real > 0.0).count();
        if new == 0 {
            continue;
        }
        counted += 1;
        let by_probability = first(client.probability, client.probability);
        let hits = || by_probability.iter().map(|&at| client.real[at] > 0.0);
        recall += hits().filter(|hit| *hit).count() as f64 / new as f64;
        let gain = hits().enumerate().filter(|(_, hit)| *hit);
        let ideal: f64 = (0..new.min(LISTED)).map(discount).sum();
        ndcg += gain.map(|(rank, _)| discount(rank)).sum::<f64>() / ideal;
        let spent = |list: Vec<usize>| list.iter().map(|&at| client.real[at]).sum::<f64>();
        money += spent(first(client.money, client.probability));
        best += spent(first(client.real, client.real));
        all += client.real.iter().sum::<f64>();
    }
    let clients = counted as f64;
    (counted > 0).then(|| TopList {
        clients: counted,
        recall: recall / clients,
        ndcg: ndcg / clients,
        money: money / all,
        money_ceiling: best / all,
    })
}

/// The first of a ranking that have a figure at all.
fn first(scores: &[f64], figures: &[f64]) -> Vec<usize> {
    let mut order = ranking(scores);
    order.retain(|&at| figures[at] > 0.0);
    order.truncate(LISTED);
    order
}

fn discount(rank: usize) -> f64 {
    1.0 / (rank as f64 + 2.0).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn figures_worked_by_hand() {
        // Twelve products; the client took up the ones ranked 1st, 3rd and 12th.
        let probability: Vec<f64> = (0..12).map(|at| 0.9 - 0.05 * f64::from(at)).collect();
        let mut real = vec![0.0; 12];
        (real[0], real[2], real[11]) = (100.0, 50.0, 850.0);
        let money: Vec<f64> = probability.iter().rev().copied().collect();
        let client = Listable {
            probability: &probability,
            money: &money,
            real: &real,
        };
        let nobody = Listable {
            real: &[0.0; 12],
            ..client
        };
        let found = top_list([client, nobody]).unwrap();
        assert_eq!(found.clients, 1);
        assert!((found.recall - 2.0 / 3.0).abs() < 1e-12);
        let ideal = 1.0 + 1.0 / 3.0_f64.log2() + 0.5;
        assert!((found.ndcg - 1.5 / ideal).abs() < 1e-12);
        // By money the list runs from the 12th to the 3rd.
        assert!((found.money - 0.9).abs() < 1e-12);
        assert!((found.money_ceiling - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_figure_is_not_listed_and_without_adoptions_there_is_no_figure() {
        let client = Listable {
            probability: &[0.0, 0.5],
            money: &[9.0, 1.0],
            real: &[7.0, 1.0],
        };
        let found = top_list([client]).unwrap();
        assert!((found.recall - 0.5).abs() < 1e-12 && (found.money - 0.125).abs() < 1e-12);
        let silent = Listable {
            real: &[0.0, 0.0],
            ..client
        };
        assert_eq!(top_list([silent]), None);
        assert_eq!(top_list([]), None);
    }

    /// Recall by asking of every product how many stand before it.
    fn slow_recall(clients: &[Vec<(f64, f64)>]) -> Option<f64> {
        let mut shares = Vec::new();
        for client in clients {
            let before = |at: usize| {
                let ahead = |other: usize| {
                    let order = client[other].0.total_cmp(&client[at].0);
                    order.is_gt() || (order.is_eq() && other < at)
                };
                (0..client.len()).filter(|&other| ahead(other)).count()
            };
            let new: Vec<usize> = (0..client.len()).filter(|&at| client[at].1 > 0.0).collect();
            let listed = new.iter().filter(|&&at| before(at) < 10).count();
            if !new.is_empty() {
                shares.push(listed as f64 / new.len() as f64);
            }
        }
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }

    proptest! {
        #[test]
        fn recall_agrees_with_counting_and_no_list_beats_the_ideal(
            clients in prop::collection::vec(
                prop::collection::vec((1_u8..9, prop_oneof![Just(0.0), 1.0..90.0]), 0..30), 0..6),
        ) {
            let clients: Vec<Vec<(f64, f64)>> = clients
                .into_iter()
                .map(|pairs| pairs.into_iter().map(|(p, r)| (f64::from(p) / 10.0, r)).collect())
                .collect();
            let columns: Vec<(Vec<f64>, Vec<f64>)> =
                clients.iter().map(|client| client.iter().copied().unzip()).collect();
            let found = top_list(columns.iter().map(|(probability, real)| Listable {
                probability,
                money: probability,
                real,
            }));
            let slow = slow_recall(&clients);
            prop_assert_eq!(found.is_some(), slow.is_some());
            if let (Some(found), Some(slow)) = (found, slow) {
                prop_assert!((found.recall - slow).abs() < 1e-12);
                prop_assert!(found.money <= found.money_ceiling + 1e-12);
                prop_assert!((0.0..=1.0 + 1e-12).contains(&found.ndcg));
            }
        }
    }
}
