//! Who is like whom: distances between clients and exact search.
//!
//! Every search is exact and repeatable to the bit: ties are broken by client number, and no
//! result depends on the number of threads. Work for one subject grows with the postings of the
//! products it buys, never with clients × products.
//!
//! This room knows tickets and attributes; what follows from a neighbourhood is `recommend`'s.

#[cfg(test)]
mod books;
mod buyers;
mod clients;
mod cosine;
mod distance;
mod everyone;
mod measure;
mod nearest;
mod profiles;
mod subject;
mod sums;

pub use buyers::{Buyer, BuyerSearch, Buyers, NOT_IN_BASE};
pub use clients::{ClientSearch, Neighbour, Reach};
pub use cosine::{CosineIndex, CosineSearch, Similar};
pub use distance::DistanceRule;
pub use everyone::NearestOfAll;
pub use profiles::{Profile, Profiles};
pub use subject::Subject;
