//! Lists that pages are read from, pinned so that all pages are of one moment.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tenant::{Scored, Tenant};

/// How long a list is kept after its last use.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// Lists kept at once for one portfolio; the one longest unused goes first.
const LISTS: usize = 64;

/// Lists by number.
#[derive(Debug)]
pub(super) struct PinnedLists {
    lists: Vec<PinnedList>,
    next: u64,
}

impl Default for PinnedLists {
    /// No list yet. Numbers start anywhere, so that a token from before a restart, or of a portfolio
    /// whose id was given again, does not lead into a list that it was not made for.
    fn default() -> Self {
        Self {
            lists: Vec::new(),
            next: RandomState::new().hash_one(0_u8),
        }
    }
}

#[derive(Debug)]
struct PinnedList {
    number: u64,
    scored: Arc<Scored>,
    used: Instant,
}

impl Tenant {
    /// Keeps a list for the pages to come; returns its number. The same list has the same number.
    pub fn pin(&self, scored: &Arc<Scored>) -> u64 {
        let mut lists = self.lists();
        let now = Instant::now();
        lists
            .lists
            .retain(|list| now.duration_since(list.used) < KEPT);
        if let Some(list) = lists
            .lists
            .iter_mut()
            .find(|list| Arc::ptr_eq(&list.scored, scored))
        {
            list.used = now;
            return list.number;
        }
        if lists.lists.len() == LISTS
            && let Some(oldest) = (0..LISTS).min_by_key(|at| lists.lists[*at].used)
        {
            lists.lists.swap_remove(oldest);
        }
        let number = lists.next;
        lists.next = lists.next.wrapping_add(1);
        lists.lists.push(PinnedList {
            number,
            scored: scored.clone(),
            used: now,
        });
        number
    }

    /// A list that is still kept.
    pub fn pinned(&self, number: u64) -> Option<Arc<Scored>> {
        let mut lists = self.lists();
        let now = Instant::now();
        lists
            .lists
            .retain(|list| now.duration_since(list.used) < KEPT);
        let list = lists.lists.iter_mut().find(|list| list.number == number)?;
        list.used = now;
        Some(list.scored.clone())
    }
}
