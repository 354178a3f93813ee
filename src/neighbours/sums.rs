//! One subject against all clients: their sums, and how near they can be at most.

use pulp::Arch;

use super::distance::{DistanceRule, Sum, squared};
use crate::domain::{ClientNo, ProductNo};
use crate::matrix::{BLOCK, TicketMatrix};

/// What is rounded on the way to a bound is less than this share of it.
pub(super) const ROUNDING: f64 = 1e-5;

/// The sums of all clients of a matrix's base against the subject, by client.
#[derive(Debug)]
pub(super) struct Sums {
    squares: Vec<f64>,
    common: Vec<u32>,
    /// No buyer of any product is nearer than this, whichever product is left out.
    pub(super) bounds: Vec<f32>,
    /// The largest of the squared differences, of one block's clients by their place in it.
    most: Vec<f32>,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            squares: Vec::new(),
            common: Vec::new(),
            bounds: Vec::new(),
            most: vec![0.0; BLOCK],
        }
    }
}

impl Sums {
    /// Makes room for whole blocks of a matrix's clients.
    pub(super) fn start(&mut self, matrix: &TicketMatrix) {
        let clients = matrix.clients().next_multiple_of(BLOCK);
        self.squares.resize(clients, 0.0);
        self.common.resize(clients, 0);
        self.bounds.resize(clients, 0.0);
    }

    /// Sums up one block.
    pub(super) fn add_up(&mut self, matrix: &TicketMatrix, block: usize, own: &[(ProductNo, f32)]) {
        let of_block = block * BLOCK..(block + 1) * BLOCK;
        // An array's length is known, so that a place in the block needs no check.
        let squares = <&mut [f64; BLOCK]>::try_from(&mut self.squares[of_block.clone()]);
        let common = <&mut [u32; BLOCK]>::try_from(&mut self.common[of_block]);
        let most = <&mut [f32; BLOCK]>::try_from(&mut self.most[..]);
        let (Ok(squares), Ok(common), Ok(most)) = (squares, common, most) else {
            return;
        };
        squares.fill(0.0);
        common.fill(0);
        most.fill(0.0);
        for &(product, own) in own {
            let run = matrix.run(product, block);
            for (&client, &ln) in run.clients.iter().zip(run.lns) {
                let at = client as usize % BLOCK;
                let difference = own - ln;
                squares[at] += squared(difference);
                common[at] += 1;
                // Not by `max`, which looks for what is no number.
                let square = difference * difference;
                most[at] = if square > most[at] { square } else { most[at] };
            }
        }
    }

    /// Finds the bounds of the clients of a block that were just summed up.
    pub(super) fn bound(&mut self, block: usize, rule: &DistanceRule) {
        let of_block = block * BLOCK..(block + 1) * BLOCK;
        let nearest = Bound::of(rule);
        let squares = &self.squares[of_block.clone()];
        let sums = squares
            .iter()
            .zip(&self.common[of_block.clone()])
            .zip(&self.most);
        let bounds = self.bounds[of_block].iter_mut().zip(sums);
        // What is not written out in here would not be compiled for the registers that are found.
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (bound, ((&squares, &common), &most)) in bounds {
                    *bound = nearest.of_sum(Sum { squares, common }, most);
                }
            },
        );
    }

    /// Takes a client out of those that bounds are compared for: none is low enough.
    pub(super) fn pass_over(&mut self, client: ClientNo) {
        if let Some(bound) = self.bounds.get_mut(client.index()) {
            *bound = f32::NAN;
        }
    }

    #[inline]
    pub(super) fn of(&self, at: usize) -> Sum {
        Sum {
            squares: self.squares[at],
            common: self.common[at],
        }
    }
}

/// How near a client may be at least, whichever product is left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    least: f64,
    beside: f32,
}

impl Bound {
    /// By a rule.
    pub(super) fn of(rule: &DistanceRule) -> Self {
        Self {
            least: rule.shrink * rule.spread,
            beside: (rule.shrink + rule.attribute_weight.max(0.0) - 1.0) as f32,
        }
    }

    /// Of a client's sums, and the largest of its squared differences.
    #[expect(
        clippy::inline_always,
        reason = "compiled for the registers of whoever calls it"
    )]
    #[inline(always)]
    pub(super) fn of_sum(self, sum: Sum, most: f32) -> f32 {
        let rest = sum.squares - f64::from(most) * (1.0 + ROUNDING);
        let total = (rest.max(0.0) + self.least) as f32 * (1.0 - ROUNDING as f32);
        let whole = (sum.squares + self.least) as f32 * (1.0 - ROUNDING as f32);
        let evidence = sum.common as f32 + self.beside;
        // A product that the subject does not buy leaves nothing out.
        let nearest = (total / evidence).min(whole / (evidence + 1.0));
        // Without evidence the distance is whatever the rule says of strangers.
        if evidence > 0.0 { nearest } else { 0.0 }
    }
}
