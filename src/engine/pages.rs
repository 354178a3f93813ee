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
/// Bytes that the renewals of all lists may take, where these are more than the last two of each work.
const BYTES: usize = 256 << 20;

/// What is worked out for a whole portfolio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Offers.
    Offers,
    /// Insights.
    Insights,
}

/// The work on a whole portfolio that lists rest on: those of one share most of what they are made of, those of two
/// next to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Renewal {
    /// What was worked out anew.
    pub work: Work,
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

/// Lists that are kept no longer. To be dropped once the lock is: that of a large book takes a while.
type Gone = Vec<PinnedList>;

impl PinnedLists {
    fn pin<T: Paged>(&mut self, list: &Arc<T>, now: Instant) -> (u64, Gone) {
        let same = |pinned: &&mut PinnedList| {
            std::ptr::addr_eq(Arc::as_ptr(&pinned.list), Arc::as_ptr(list))
        };
        let number = match self.lists.iter_mut().find(same) {
            Some(pinned) => {
                pinned.used = now;
                pinned.number
            }
            None => {
                let number = self.next;
                self.next = self.next.wrapping_add(1);
                self.lists.push(PinnedList {
                    number,
                    list: list.clone(),
                    renewal: list.renewal(),
                    used: now,
                });
                number
            }
        };
        (number, self.let_go(now))
    }

    fn find(&mut self, number: u64, now: Instant) -> (Option<Arc<dyn Any + Send + Sync>>, Gone) {
        let gone = self.let_go(now);
        let list = self.lists.iter_mut().find(|list| list.number == number);
        let list = list.map(|list| {
            list.used = now;
            list.list.clone()
        });
        (list, gone)
    }

    /// Takes lists out: those unused for long, and of the others the ones longest unused, until they are few enough and
    /// what they keep is.
    #[must_use = "see `Gone`"]
    fn let_go(&mut self, now: Instant) -> Gone {
        self.lists.sort_by_key(|list| std::cmp::Reverse(list.used));
        let (mut lists, mut renewals, mut bytes) = (0, BTreeSet::new(), 0_usize);
        let stays = |list: &PinnedList| {
            let Renewal {
                work,
                id,
                bytes: more,
            } = list.renewal;
            lists += 1;
            if renewals.insert((work, id)) {
                bytes = bytes.saturating_add(more);
            }
            // The one in use, and one from before it: a list outlives one renewal whatever it takes.
            let last_two = renewals.iter().filter(|one| one.0 == work).count() <= 2;
            lists <= LISTS && now.duration_since(list.used) < KEPT && (last_two || bytes <= BYTES)
        };
        let (stay, gone) = std::mem::take(&mut self.lists).into_iter().partition(stays);
        self.lists = stay;
        gone
    }
}

impl Tenant {
    /// Keeps a list for the pages to come; returns its number. The same list has the same number.
    pub fn pin<T: Paged>(&self, list: &Arc<T>) -> u64 {
        let (number, _gone) = self.lists().pin(list, Instant::now());
        number
    }

    /// A list that is still kept.
    pub fn pinned<T: Paged>(&self, number: u64) -> Option<Arc<T>> {
        let (list, _gone) = self.lists().find(number, Instant::now());
        list?.downcast().ok()
    }

    /// Lets go the lists that are kept no longer, whether or not anybody asks for one.
    pub(super) fn let_lists_go(&self) {
        let _gone = self.lists().let_go(Instant::now());
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

    fn of(work: Work, id: usize, bytes: usize) -> Arc<List> {
        Arc::new(List(Renewal { work, id, bytes }))
    }

    #[test]
    fn a_list_is_kept_a_quarter_of_an_hour_after_its_last_use() {
        let mut lists = PinnedLists::default();
        let (began, list) = (Instant::now(), of(Work::Offers, 1, 10));
        let (number, _) = lists.pin(&list, began);
        let minutes = |minutes: u64| began + Duration::from_secs(60 * minutes);
        assert!(lists.find(number, minutes(14)).0.is_some());
        assert_eq!(lists.pin(&list, minutes(28)).0, number);
        assert!(lists.find(number, minutes(42)).0.is_some());
        assert!(lists.find(number, minutes(57)).0.is_none());
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
        // Insights besides: they take none of the room of offers.
        let numbers: Vec<u64> = (0..4)
            .flat_map(|id| [(id, Work::Offers), (id, Work::Insights)])
            .enumerate()
            .map(|(at, (id, work))| lists.pin(&of(work, id, BYTES), second(at)).0)
            .collect();
        let kept = |lists: &mut PinnedLists| {
            let kept = numbers
                .iter()
                .map(|number| lists.find(*number, second(9)).0);
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
                    None => (lists.pin(&of(Work::Offers, id, BYTES / 4), now).0, id),
                };
                prop_assert!(lists.find(used.0, now).0.is_some());
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
