//! One subject against all clients: squared differences of log tickets over shared products.

use super::Subject;
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::TicketMatrix;

/// How differences become a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DistanceRule {
    /// `v`, the mean squared difference of two unrelated log tickets.
    pub spread: f64,
    /// Products over which two clients count as strangers before any evidence.
    pub shrink: f64,
    /// Added to a distance before it is inverted, as a share of `spread`.
    pub floor: f64,
    /// Weight of all attributes together, in shared products; 0 leaves them out.
    pub attribute_weight: f64,
}

impl DistanceRule {
    /// The weight of a neighbour at this distance: `1 / (d + floor v)`, at most 1e9.
    pub fn weight(&self, distance: f64) -> f64 {
        1.0 / (distance + self.floor * self.spread).max(1e-9)
    }
}

/// A client near a subject.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Who.
    pub client: ClientNo,
    /// Mean squared difference of log tickets, shrunk; never negative.
    pub distance: f64,
    /// Its ticket for the judged product, minor units; 0 in a search without one.
    pub ticket: f32,
    /// Products that both buy, the judged one left out.
    pub common: u32,
}

/// The nearest buyers of a product, and how many buyers there are.
#[derive(Debug, Clone, Copy)]
pub struct Buyers<'a> {
    /// Buyers of the product, the subject left out.
    pub buyers: u32,
    /// The nearest of them, nearest first.
    pub nearest: &'a [Neighbour],
}

/// The sums of one subject against all clients, reused from subject to subject.
///
/// [`Search::begin`] reads every posting of the subject's products once; [`Search::buyers`] then
/// corrects the sums for a judged product and keeps the nearest of its buyers. With
/// `D = sum over shared products (ln x - ln y)^2` and the attributes' mean squared difference `A`,
/// the distance is `(D + shrink v + weight v A) / (shared + shrink + weight)`, the judged product
/// left out of both sums: left in, today's ticket would choose its own yardstick.
#[derive(Debug, Default)]
pub struct Search {
    sums: Vec<f64>,
    common: Vec<u32>,
    attributes: Vec<f32>,
    touched: Vec<u32>,
    nearest: Vec<Neighbour>,
}

impl Search {
    /// Takes a subject on. Cost: the postings of its products.
    pub fn begin(&mut self, matrix: &TicketMatrix, subject: &Subject<'_>) {
        for &client in &self.touched {
            self.sums[client as usize] = 0.0;
            self.common[client as usize] = 0;
        }
        self.touched.clear();
        self.sums.resize(matrix.clients(), 0.0);
        self.common.resize(matrix.clients(), 0);
        self.attributes.clear();
        self.attributes.resize(matrix.clients(), f32::NAN);
        for cell in subject.cells {
            let own = log(cell.ticket);
            for posting in matrix.column(cell.product) {
                let at = posting.client.index();
                if self.common[at] == 0 {
                    self.touched.push(posting.client.0);
                }
                self.common[at] += 1;
                self.sums[at] += squared_difference(own, posting.ticket);
            }
        }
    }

    /// The `k` nearest buyers of a product, nearest first, ties by client number.
    ///
    /// The subject is the one of the last [`Search::begin`]. Cost: the product's postings.
    pub fn buyers(
        &mut self,
        matrix: &TicketMatrix,
        subject: &Subject<'_>,
        of_client: &dyn Fn(ClientNo) -> (f32, u32),
        product: ProductNo,
        rule: &DistanceRule,
        k: usize,
    ) -> Buyers<'_> {
        let own = subject.cell(product).map(|cell| log(cell.ticket));
        self.nearest.clear();
        for posting in matrix.column(product) {
            if Some(posting.client) == subject.client {
                continue;
            }
            let at = posting.client.index();
            let (mut sum, mut common) = (self.sums[at], self.common[at]);
            if let Some(own) = own {
                sum = (sum - squared_difference(own, posting.ticket)).max(0.0);
                common = common.saturating_sub(1);
            }
            let attributes = Self::attribute(&mut self.attributes, at, rule, of_client);
            self.nearest.push(Neighbour {
                client: posting.client,
                distance: rule.distance(sum, common, attributes),
                ticket: posting.ticket,
                common,
            });
        }
        Buyers {
            buyers: self.nearest.len() as u32,
            nearest: keep_nearest(&mut self.nearest, k),
        }
    }

    /// The `k` nearest of all clients that share a product, or an attribute when
    /// `among_all` is set, nearest first. Cost: the clients touched (all of them with `among_all`).
    pub fn clients(
        &mut self,
        subject: &Subject<'_>,
        of_client: &dyn Fn(ClientNo) -> (f32, u32),
        rule: &DistanceRule,
        k: usize,
        reach: Reach,
    ) -> &[Neighbour] {
        self.nearest.clear();
        if reach == Reach::Everyone {
            for client in 0..self.sums.len() as u32 {
                if self.common[client as usize] > 0 || of_client(ClientNo(client)).1 > 0 {
                    self.nearest.push(unmeasured(client));
                }
            }
        } else {
            self.touched.sort_unstable();
            self.nearest
                .extend(self.touched.iter().copied().map(unmeasured));
        }
        self.nearest
            .retain(|neighbour| Some(neighbour.client) != subject.client);
        for neighbour in &mut self.nearest {
            let at = neighbour.client.index();
            let attributes = Self::attribute(&mut self.attributes, at, rule, of_client);
            neighbour.common = self.common[at];
            neighbour.distance = rule.distance(self.sums[at], self.common[at], attributes);
        }
        keep_nearest(&mut self.nearest, k)
    }

    /// The mean squared difference of a client's attributes, found once a subject; NaN is a gap.
    fn attribute(
        found: &mut [f32],
        at: usize,
        rule: &DistanceRule,
        of_client: &dyn Fn(ClientNo) -> (f32, u32),
    ) -> Option<f64> {
        if rule.attribute_weight <= 0.0 {
            return None;
        }
        if found[at].is_nan() {
            let (sum, shared) = of_client(ClientNo(at as u32));
            found[at] = if shared == 0 {
                -1.0
            } else {
                sum / shared as f32
            };
        }
        (found[at] >= 0.0).then(|| f64::from(found[at]))
    }
}

/// Whom a search for similar clients looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Clients that share at least one product.
    SharedProducts,
    /// These, and clients that share an attribute.
    Everyone,
}

impl DistanceRule {
    fn distance(&self, sum: f64, common: u32, attributes: Option<f64>) -> f64 {
        let (weight, difference) = match attributes {
            Some(difference) => (self.attribute_weight, difference),
            None => (0.0, 0.0),
        };
        let evidence = f64::from(common) + self.shrink + weight;
        if evidence <= 0.0 {
            return self.spread;
        }
        (sum + (self.shrink + weight * difference) * self.spread) / evidence
    }
}

fn unmeasured(client: u32) -> Neighbour {
    Neighbour {
        client: ClientNo(client),
        distance: 0.0,
        ticket: 0.0,
        common: 0,
    }
}

fn keep_nearest(found: &mut Vec<Neighbour>, k: usize) -> &[Neighbour] {
    let nearer = |a: &Neighbour, b: &Neighbour| {
        a.distance
            .total_cmp(&b.distance)
            .then(a.client.cmp(&b.client))
    };
    if k < found.len() {
        found.select_nth_unstable_by(k, nearer);
        found.truncate(k);
    }
    found.sort_unstable_by(nearer);
    found
}

fn squared_difference(own: f32, ticket: f32) -> f64 {
    let difference = f64::from(own - log(ticket));
    difference * difference
}

/// The natural logarithm of a positive finite number, to 1e-6, without a call: a search takes
/// one for every posting it reads.
///
/// With `x = m 2^e` and `s = (m - 1) / (m + 1)`: `ln m = 2 (s + s^3/3 + s^5/5 + ...)`.
fn log(x: f32) -> f32 {
    let bits = x.to_bits();
    // Moves the cut between two powers of two to sqrt(1/2), so that |s| stays under 0.172.
    let shifted = bits.wrapping_add(0x3f80_0000 - 0x3f35_04f3);
    let exponent = (shifted >> 23) as i32 - 127;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff) + 0x3f35_04f3);
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = 2.0 + s2 * (2.0 / 3.0 + s2 * (2.0 / 5.0 + s2 * (2.0 / 7.0)));
    s * series + exponent as f32 * std::f32::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_logarithm_is_a_logarithm() {
        for x in [
            1.0e-3_f32, 0.5, 0.7, 0.71, 1.0, 1.4, 1.5, 2.0, 99.99, 7.0e5, 3.0e15,
        ] {
            let exact = x.ln();
            assert!((log(x) - exact).abs() <= 2e-6 * exact.abs().max(1.0), "{x}");
        }
    }
}
