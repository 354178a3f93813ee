//! What filters found in a pipeline, kept for the pages to come.

use std::sync::{Arc, Weak};

use super::OfferPlace;
use super::scored::Scored;
use super::tenant::Tenant;

/// Lists kept at once for one portfolio, 12 bytes each opportunity that was chosen; the one longest unused goes first.
const LISTS: usize = 4;

/// What a list shows, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// All offers, so many, in the order in which to work them: read where they stand.
    All(usize),
    /// Those that were chosen.
    Chosen(Vec<OfferPlace>),
}

/// A list of opportunities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// What is shown, in order.
    pub found: Found,
    /// What is held out, each with the number of rows of `found` before it.
    pub held_out: Vec<(usize, OfferPlace)>,
    /// Sum of the gains of what is shown, in minor units.
    pub total_gain_minor: i64,
}

/// The lists asked for last.
#[derive(Debug, Default)]
pub(super) struct Selections {
    kept: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    of: Weak<Scored>,
    name: String,
    selection: Arc<Selection>,
}

impl Tenant {
    /// A list of a pipeline by a name that says what it holds; found at its first mention, and kept
    /// as long as the pipeline is and the list is asked for.
    pub fn selection<E>(
        &self,
        scored: &Arc<Scored>,
        name: &str,
        find: impl FnOnce() -> Result<Selection, E>,
    ) -> Result<Arc<Selection>, E> {
        let same =
            |kept: &Kept| std::ptr::eq(kept.of.as_ptr(), Arc::as_ptr(scored)) && kept.name == name;
        let mut lists = self.selections();
        lists.kept.retain(|kept| kept.of.strong_count() > 0);
        if let Some(at) = lists.kept.iter().position(same) {
            let kept = lists.kept.remove(at);
            let selection = kept.selection.clone();
            lists.kept.push(kept);
            return Ok(selection);
        }
        drop(lists);
        let selection = Arc::new(find()?);
        let mut lists = self.selections();
        if lists.kept.len() >= LISTS {
            lists.kept.remove(0);
        }
        lists.kept.push(Kept {
            of: Arc::downgrade(scored),
            name: name.to_owned(),
            selection: selection.clone(),
        });
        Ok(selection)
    }
}
