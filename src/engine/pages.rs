//! Lists that pages are read from, pinned so that all pages are of one moment.

use std::any::Any;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tenant::Tenant;

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
    list: Arc<dyn Any + Send + Sync>,
    used: Instant,
}

impl Tenant {
    /// Keeps a list for the pages to come; returns its number. The same list has the same number.
    pub fn pin<T: Any + Send + Sync>(&self, list: &Arc<T>) -> u64 {
        let mut lists = self.lists();
        let now = Instant::now();
        lists
            .lists
            .retain(|list| now.duration_since(list.used) < KEPT);
        if let Some(pinned) = lists
            .lists
            .iter_mut()
            .find(|pinned| std::ptr::addr_eq(Arc::as_ptr(&pinned.list), Arc::as_ptr(list)))
        {
            pinned.used = now;
            return pinned.number;
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
            list: list.clone(),
            used: now,
        });
        number
    }

    /// A list that is still kept.
    pub fn pinned<T: Any + Send + Sync>(&self, number: u64) -> Option<Arc<T>> {
        let mut lists = self.lists();
        let now = Instant::now();
        lists
            .lists
            .retain(|list| now.duration_since(list.used) < KEPT);
        let list = lists.lists.iter_mut().find(|list| list.number == number)?;
        list.used = now;
        list.list.clone().downcast().ok()
    }
}
