//! The clients nearest to one subject, whatever they buy.

use super::distance::{DistanceRule, Sum, sum_of};
use super::measure::Measure;
use super::nearest::{Nearest, Ranked};
use super::sums::Sums;
use super::{Profiles, Subject};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, TicketMatrix};

/// A client near a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub client: ClientNo,
    /// Mean squared difference of log tickets, shrunk; never negative.
    pub distance: f64,
    /// Products that both buy.
    pub common: u32,
}

/// Whom a search for similar clients looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Clients that share at least one product.
    SharedProducts,
    /// These, and clients that share an attribute.
    Everyone,
}

/// The nearest clients of one subject, by the distance of [`BuyerSearch`](super::BuyerSearch) with nothing left
/// out; buffers are reused from subject to subject.
#[derive(Debug, Default)]
pub struct ClientSearch {
    sums: Sums,
    /// Mean squared differences of the attributes of all clients, found once each.
    attributes: Vec<f32>,
    /// The subject's products and the logarithms of its tickets.
    own: Vec<(ProductNo, f32)>,
    found: Nearest<Neighbour>,
}

impl ClientSearch {
    /// The `k` nearest of all clients that share a product, and with [`Reach::Everyone`] of those
    /// that share an attribute, nearest first.
    ///
    /// Cost: the postings of the subject's products, and all clients.
    pub fn nearest(
        &mut self,
        matrix: &TicketMatrix,
        subject: &Subject<'_>,
        profiles: &Profiles,
        rule: &DistanceRule,
        k: usize,
        reach: Reach,
    ) -> &[Neighbour] {
        subject.lns(&mut self.own);
        self.found.start(k);
        let measure = Measure {
            subject,
            profiles,
            rule,
        };
        let attributes = &mut self.attributes;
        attributes.clear();
        attributes.resize(matrix.clients(), f32::NAN);
        let mut take = |client: ClientNo, sum: Sum, found: &mut Nearest<Neighbour>| {
            let reached = sum.common() > 0
                || (reach == Reach::Everyone
                    && subject.profile.difference(&profiles.of_client(client)).1 > 0);
            if reached && Some(client) != subject.client {
                let difference = measure.difference(attributes, client);
                found.offer(Neighbour {
                    client,
                    distance: measure.distance(sum, difference),
                    common: sum.common(),
                });
            }
        };
        self.sums.start(matrix);
        for block in 0..matrix.clients().div_ceil(BLOCK) {
            self.sums.add_up(matrix, block, &self.own);
            let clients = block * BLOCK..((block + 1) * BLOCK).min(matrix.clients());
            for client in clients.map(|client| ClientNo(client as u32)) {
                if !matrix.is_changed(client) {
                    take(client, self.sums.of(client), &mut self.found);
                }
            }
        }
        for (client, row) in matrix.changed_rows() {
            take(client, sum_of(&self.own, row), &mut self.found);
        }
        self.found.finish()
    }
}

impl Ranked for Neighbour {
    fn farness(&self) -> f64 {
        self.distance
    }

    fn client(&self) -> ClientNo {
        self.client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neighbours::books::{RULE, ticket};

    #[test]
    fn clients_that_came_later_and_bought_nothing_are_like_nobody() {
        let row = |client: u32| vec![ticket(client % 2, 5.0), ticket(2, 3.0 + client as f32)];
        let matrix = TicketMatrix::from_rows(3, (0..BLOCK as u32).map(row));
        let more = matrix.with_rows(2 * BLOCK, 3, []);
        let (profiles, mut search) = (Profiles::default(), ClientSearch::default());
        let subject = Subject::existing(&more, &profiles, ClientNo(0));
        let (k, reach) = (3 * BLOCK, Reach::SharedProducts);
        let found = search.nearest(&more, &subject, &profiles, &RULE, k, reach);
        assert_eq!(found.len(), BLOCK - 1);
    }
}
