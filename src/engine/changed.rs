//! Whose offers a write may have changed.

use std::collections::{BTreeSet, VecDeque};

use imbl::OrdMap;

use crate::domain::ClientNo;

/// The clients that some writes touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These.
    Clients(BTreeSet<ClientNo>),
    /// All: the window moved, a product or the settings changed.
    All,
}

impl Default for Changed {
    fn default() -> Self {
        Self::Clients(BTreeSet::new())
    }
}

impl Changed {
    /// Whether nobody's offers changed, as by a log of showings.
    pub(super) fn is_nobody(&self) -> bool {
        matches!(self, Self::Clients(clients) if clients.is_empty())
    }

    /// Adds a client.
    pub(super) fn client(&mut self, client: ClientNo) {
        if let Self::Clients(clients) = self {
            clients.insert(client);
        }
    }

    /// Adds those of later writes.
    pub(super) fn merge(&mut self, later: &Self) {
        match (&mut *self, later) {
            (Self::Clients(clients), Self::Clients(more)) => clients.extend(more),
            _ => *self = Self::All,
        }
    }
}

/// When a write last concerned each client, by [`super::Book::facts_sequence`]. A copy is cheap.
#[derive(Debug, Clone)]
pub(super) struct Touched {
    clients: OrdMap<ClientNo, u64>,
    all: u64,
}

impl Touched {
    /// Nothing is known of what was before a sequence.
    pub(super) fn after(facts_sequence: u64) -> Self {
        Self {
            clients: OrdMap::new(),
            all: facts_sequence,
        }
    }

    /// The same after one more commit.
    #[must_use]
    pub(super) fn with(&self, facts_sequence: u64, changed: &Changed) -> Self {
        let mut next = self.clone();
        match changed {
            Changed::All => next = Self::after(facts_sequence),
            Changed::Clients(clients) => {
                for client in clients {
                    next.clients.insert(*client, facts_sequence);
                }
            }
        }
        next
    }

    /// The last write that concerned a client.
    pub(super) fn last(&self, client: ClientNo) -> u64 {
        let own = self.clients.get(&client).copied();
        own.map_or(self.all, |own| own.max(self.all))
    }
}

/// How many commits are remembered; what is older than them counts as all.
const REMEMBERED: usize = 4_096;

/// What the latest commits of a portfolio touched.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    commits: VecDeque<(u64, Changed)>,
    /// The sequence from which on every commit is remembered.
    complete_from: u64,
}

impl ChangeLog {
    /// A log that starts after a sequence.
    pub(super) fn after(sequence: u64) -> Self {
        Self {
            commits: VecDeque::new(),
            complete_from: sequence,
        }
    }

    /// Remembers a commit; one that touched nobody needs no remembering.
    pub(super) fn push(&mut self, sequence: u64, changed: Changed) {
        if changed.is_nobody() {
            return;
        }
        self.commits.push_back((sequence, changed));
        if self.commits.len() > REMEMBERED
            && let Some((oldest, _)) = self.commits.pop_front()
        {
            self.complete_from = oldest;
        }
    }

    /// Everything that commits after one sequence, up to another, touched. A commit is remembered before its book is
    /// shown, so that the log alone may name clients that a book does not have yet.
    pub(super) fn between(&self, after: u64, last: u64) -> Changed {
        if after < self.complete_from {
            return Changed::All;
        }
        let mut all = Changed::default();
        let latest = self.commits.iter().rev();
        for (_, changed) in latest
            .skip_while(|(at, _)| *at > last)
            .take_while(|(at, _)| *at > after)
        {
            all.merge(changed);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(numbers: &[u32]) -> Changed {
        Changed::Clients(numbers.iter().copied().map(ClientNo).collect())
    }

    #[test]
    fn what_changed_between_two_books_is_the_sum_of_the_commits_between_them() {
        let mut log = ChangeLog::after(3);
        log.push(4, clients(&[1]));
        log.push(6, clients(&[2]));
        assert_eq!(log.between(6, 9), clients(&[]));
        assert_eq!(log.between(4, 9), clients(&[2]));
        assert_eq!(log.between(3, 9), clients(&[1, 2]));
        assert_eq!(log.between(2, 9), Changed::All);
        assert_eq!(log.between(3, 5), clients(&[1]));
        assert_eq!(log.between(4, 5), clients(&[]));
        log.push(7, Changed::All);
        assert_eq!(log.between(3, 6), clients(&[1, 2]));
        assert_eq!(log.between(6, 9), Changed::All);
        assert_eq!(log.between(7, 9), clients(&[]));
    }

    #[test]
    fn a_write_to_some_clients_concerns_these_and_a_write_to_all_everybody() {
        let touched = Touched::after(3)
            .with(5, &clients(&[1]))
            .with(6, &clients(&[2]));
        let last = |touched: &Touched| [0, 1, 2].map(|client| touched.last(ClientNo(client)));
        assert_eq!(last(&touched), [3, 5, 6]);
        let touched = touched.with(7, &Changed::All);
        assert_eq!(last(&touched), [7, 7, 7]);
        assert_eq!(last(&touched.with(9, &clients(&[0]))), [9, 7, 7]);
    }
}
