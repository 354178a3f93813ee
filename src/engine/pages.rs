//! Lists that pages are read from, pinned so that all pages are of one moment.

use std::any::Any;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tenant::Tenant;

/// How long a list is kept after its last use.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// Lists kept at once for one portfolio; the one longest unused goes first.
const LISTS: usize = 64;
/// Bytes that the renewals of all lists may take, where these are more than the last two.
const BYTES: usize = 256 << 20;

/// The work on a whole portfolio that lists rest on: those of one share most of what they are made of, those of two
/// next to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// The same for lists of the same one that are kept at once.
    pub id: usize,
    /// About how many bytes it takes.
    pub bytes: usize,
}

/// What can be kept for its pages.
pub trait Paged: Any + Send + Sync {
    /// What keeping it keeps besides.
    fn renewal(&self) -> Renewal;
}

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
    renewal: Renewal,
    used: Instant,
}

impl PinnedLists {
    fn pin<T: Paged>(&mut self, list: &Arc<T>, now: Instant) -> u64 {
        let same = |pinned: &&mut PinnedList| {
            std::ptr::addr_eq(Arc::as_ptr(&pinned.list), Arc::as_ptr(list))
        };
        self.let_go(now);
        if let Some(pinned) = self.lists.iter_mut().find(same) {
            pinned.used = now;
            return pinned.number;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.lists.push(PinnedList {
            number,
            list: list.clone(),
            renewal: list.renewal(),
            used: now,
        });
        self.let_go(now);
        number
    }

    fn find(&mut self, number: u64, now: Instant) -> Option<Arc<dyn Any + Send + Sync>> {
        self.let_go(now);
        let list = self.lists.iter_mut().find(|list| list.number == number)?;
        list.used = now;
        Some(list.list.clone())
    }

    /// Lets lists go: those unused for long, and of the others the ones longest unused, until they are few enough and
    /// what they keep is.
    pub(super) fn let_go(&mut self, now: Instant) {
        self.lists
            .retain(|list| now.duration_since(list.used) < KEPT);
        self.lists.sort_by_key(|list| std::cmp::Reverse(list.used));
        self.lists.truncate(LISTS);
        let (mut renewals, mut bytes) = (BTreeSet::new(), 0_usize);
        self.lists.retain(|list| {
            if renewals.insert(list.renewal.id) {
                bytes = bytes.saturating_add(list.renewal.bytes);
            }
            // The one in use, and one from before it: a list outlives one renewal whatever it takes.
            renewals.len() <= 2 || bytes <= BYTES
        });
    }
}

impl Tenant {
    /// Keeps a list for the pages to come; returns its number. The same list has the same number.
    pub fn pin<T: Paged>(&self, list: &Arc<T>) -> u64 {
        self.lists().pin(list, Instant::now())
    }

    /// A list that is still kept.
    pub fn pinned<T: Paged>(&self, number: u64) -> Option<Arc<T>> {
        let list = self.lists().find(number, Instant::now())?;
        list.downcast().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct List(Renewal);

    impl Paged for List {
        fn renewal(&self) -> Renewal {
            self.0
        }
    }

    fn of(id: usize, bytes: usize) -> Arc<List> {
        Arc::new(List(Renewal { id, bytes }))
    }

    #[test]
    fn a_list_is_kept_a_quarter_of_an_hour_after_its_last_use() {
        let mut lists = PinnedLists::default();
        let (began, list) = (Instant::now(), of(1, 10));
        let number = lists.pin(&list, began);
        let minutes = |minutes: u64| began + Duration::from_secs(60 * minutes);
        assert!(lists.find(number, minutes(14)).is_some());
        assert_eq!(lists.pin(&list, minutes(28)), number);
        assert!(lists.find(number, minutes(42)).is_some());
        assert!(lists.find(number, minutes(57)).is_none());
        assert_eq!(
            Arc::strong_count(&list),
            1,
            "kept beyond its last page's token"
        );
    }

    #[test]
    fn what_lists_of_earlier_renewals_take_is_bounded_and_one_renewal_costs_no_token() {
        let mut lists = PinnedLists::default();
        let began = Instant::now();
        let second = |second: usize| began + Duration::from_secs(second as u64);
        let numbers: Vec<u64> = (0..4)
            .flat_map(|id| [(id, 0), (id, 1)])
            .map(|(id, at)| lists.pin(&of(id, BYTES), second(2 * id + at)))
            .collect();
        let kept = |lists: &mut PinnedLists| {
            let kept = numbers.iter().map(|number| lists.find(*number, second(9)));
            kept.map(|list| list.is_some()).collect::<Vec<_>>()
        };
        let [no, yes] = [false, true];
        assert_eq!(kept(&mut lists), [no, no, no, no, yes, yes, yes, yes]);
    }

    proptest! {
        #[test]
        fn those_used_last_are_kept_as_long_as_there_is_room(
            steps in prop::collection::vec((0usize..12, 0usize..90), 1..400),
        ) {
            let (mut lists, began) = (PinnedLists::default(), Instant::now());
            // Those that are kept, by number and renewal, the one used last at the end.
            let mut kept: Vec<(u64, usize)> = Vec::new();
            for (step, (id, again)) in steps.into_iter().enumerate() {
                let now = began + Duration::from_secs(step as u64);
                // A list is read on, or another one begun.
                let used = match kept.len().checked_sub(again + 1) {
                    Some(at) => kept.remove(at),
                    None => (lists.pin(&of(id, BYTES / 4), now), id),
                };
                prop_assert!(lists.find(used.0, now).is_some());
                kept.push(used);
                let mut renewals = BTreeSet::new();
                let fits = kept.iter().rev().take(LISTS).take_while(|(_, id)| {
                    renewals.insert(*id);
                    renewals.len() <= 4
                });
                let fits = fits.count();
                kept.drain(..kept.len() - fits);
                let there: BTreeSet<u64> = lists.lists.iter().map(|list| list.number).collect();
                prop_assert_eq!(there, kept.iter().map(|(number, _)| *number).collect());
            }
        }
    }
}
