//! The ticket that a client like this one has: expected and potential, with a known coverage.
//!
//! For a judged product `p` and a client `c`:
//!
//! 1. **Level.** `ln m(p)`, the product's median ticket, plus what the client's other tickets say
//!    ([`Factors`]: size first, then lines of business) and how many there are, with its standard
//!    deviation, which is larger for a client whose tickets scatter more than others' do.
//! 2. **Neighbours.** The `k` nearest buyers of `p` by squared differences of log tickets over the
//!    products that both buy, and by attributes where the data shows that these help.
//! 3. **Quantiles.** Each neighbour's ticket says how far, in its own deviations, it stands from
//!    its own level. The weighted quantiles of these residuals, mixed with those of all buyers of
//!    `p` and of the whole book, put back at the client's own level and deviation.
//! 4. **Coverage.** Each quantile is shifted by what tickets held out of the fit showed it to lack
//!    (split conformal correction: Romano, Patterson, Candès, *Conformalized quantile regression*,
//!    NeurIPS 2019).
//!
//! The judged ticket enters none of its own level, distances or sizes. The idea of a wallet as a
//! high conditional quantile is that of Perlich, Rosset, Lawrence, Zadrozny, *High-quantile
//! modeling for customer wallet estimation*, KDD 2007.

mod choice;
mod coverage;
mod dispersion;
mod estimate;
mod factors;
mod fit;
mod held_out;
mod prices;
mod regression;
mod residuals;
mod strengths;
mod surveys;
#[cfg(test)]
mod tests;

pub use choice::Choice;
pub use estimate::{Evidence, LEVELS, Scratch, TicketEstimate};
pub use factors::{Expectation, FactorRule, Factors, MOST_FACTORS};
pub use fit::UpsellModel;

pub(crate) use estimate::MOST_LN;

/// Spreads a number over 64 bits (splitmix64: Steele, Lea, Flood, OOPSLA 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
