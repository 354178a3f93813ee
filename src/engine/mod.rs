//! Portfolios behind two verbs: [`Engine::apply`] a write, [`Engine::tenant`] to read one.
//!
//! One thread owns all state that changes. It takes the writes that wait, works each out against
//! that state, makes one durable batch of their changes, and only then lets readers see them and
//! answers. A reader takes an immutable [`Book`] and holds no lock while it computes.
//!
//! Promises: a write is applied whole or not at all; what was answered is durable; a read that
//! starts after an answer sees that write; the same `request_id` changes nothing twice.
//!
//! This room knows no wire.

mod advice;
mod answers;
mod background;
mod book;
#[cfg(test)]
mod books;
mod changed;
mod clock;
mod commit;
mod committer;
mod directory;
mod effect;
mod error;
mod evaluating;
mod fair_queue;
mod grading;
mod insights;
mod keeping;
mod ledger;
mod moments;
mod objectives;
mod offers;
mod pages;
mod patience;
mod priority;
mod prospects;
mod recipes;
mod renewing;
mod restore;
mod sales;
mod scored;
mod scoring;
mod selections;
mod tenant;
mod view;
mod walk;
mod worked_out;
mod write;

pub use advice::{Advice, Supposed};
pub use book::{Book, Figures, OfferKey, TicketLine};
pub use clock::{now_unix, today};
pub use commit::Engine;
pub use directory::Directory;
pub use effect::Effect;
pub use error::{EngineError, Refusal, StartError};
pub use evaluating::{Evaluated, MAX_HORIZON_MONTHS, Wanted};
pub use fair_queue::{FairQueue, NotQueued, QueueRules};
pub use insights::{Insighted, Past};
pub use keeping::Keeping;
pub use moments::Moment;
pub use objectives::{GroupMeasure, MAX_OBJECTIVES};
pub use pages::{Paged, Renewal, Work};
pub use patience::Patience;
pub use prospects::{Prospect, Ranked};
pub use recipes::{recipe_of, recipe_with, recipes};
pub use scored::Scored;
pub use scoring::Model;
pub use selections::{Found, Selection};
pub use tenant::{Tenant, Tenants};
pub use view::View;
pub use walk::OfferPlace;
pub use write::{Answer, OfferId, PortfolioPatch, SaleDraft, TicketDraft, Write, WriteRequest};
