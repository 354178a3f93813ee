//! One subject against the clients of a block: their sums, and how near they can be at most.

use pulp::Arch;

use super::distance::{DistanceRule, Sum, squared};
use crate::domain::ProductNo;
use crate::matrix::{BLOCK, TicketMatrix};

/// What is rounded on the way to a bound is less than this share of it.
pub(super) const ROUNDING: f64 = 1e-5;

/// The sums of one block's clients against the subject, by their place in it.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) squares: Vec<f64>,
    pub(super) common: Vec<u32>,
    /// The largest of the squared differences.
    pub(super) most: Vec<f32>,
    /// No buyer of any product is nearer than this, whichever product is left out.
    pub(super) bounds: Vec<f32>,
    /// The clients whose bound is low enough for a widely bought product, a bit each.
    pub(super) near: Vec<u64>,
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            squares: vec![0.0; BLOCK],
            common: vec![0; BLOCK],
            most: vec![0.0; BLOCK],
            bounds: vec![0.0; BLOCK],
            near: vec![0; BLOCK / 64],
        }
    }
}

impl Sums {
    /// Sums up one block.
    pub(super) fn add_up(&mut self, matrix: &TicketMatrix, block: usize, own: &[(ProductNo, f32)]) {
        // An array's length is known, so that a place in the block needs no check.
        let squares = <&mut [f64; BLOCK]>::try_from(&mut self.squares[..]);
        let common = <&mut [u32; BLOCK]>::try_from(&mut self.common[..]);
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
                most[at] = most[at].max(difference * difference);
            }
        }
    }

    /// Finds the bounds of the clients that were summed up.
    pub(super) fn bound(&mut self, rule: &DistanceRule) {
        let least = rule.shrink * rule.spread;
        let beside = (rule.shrink + rule.attribute_weight.max(0.0) - 1.0) as f32;
        let sums = self.squares.iter().zip(&self.common).zip(&self.most);
        let bounds = self.bounds.iter_mut().zip(sums);
        // What is not written out in here would not be compiled for the registers that are found.
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (bound, ((squares, common), most)) in bounds {
                    let rest = squares - f64::from(*most) * (1.0 + ROUNDING);
                    let total = (rest.max(0.0) + least) as f32 * (1.0 - ROUNDING as f32);
                    let whole = (squares + least) as f32 * (1.0 - ROUNDING as f32);
                    let evidence = *common as f32 + beside;
                    // A product that the subject does not buy leaves nothing out.
                    let least = (total / evidence).min(whole / (evidence + 1.0));
                    // Without evidence the distance is whatever the rule says of strangers.
                    *bound = if evidence > 0.0 { least } else { 0.0 };
                }
            },
        );
    }

    /// Marks the clients whose bound is not beyond a limit.
    pub(super) fn find_near(&mut self, limit: f32) {
        let (bounds, near) = (&self.bounds, &mut self.near);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (word, bounds) in near.iter_mut().zip(bounds.chunks_exact(64)) {
                    *word = 0;
                    for (byte, bounds) in bounds.chunks_exact(16).enumerate() {
                        let mut low = [0_u16; 16];
                        for (at, bound) in bounds.iter().enumerate() {
                            low[at] = u16::from(*bound <= limit) << at;
                        }
                        let low = low.iter().fold(0, |all, one| all | one);
                        *word |= u64::from(low) << (16 * byte);
                    }
                }
            },
        );
    }

    #[inline]
    pub(super) fn of(&self, at: usize) -> Sum {
        Sum {
            squares: self.squares[at],
            common: self.common[at],
        }
    }
}
