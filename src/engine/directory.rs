//! Things by the caller's id and by our number.

use std::borrow::Borrow;
use std::sync::Arc;

use imbl::{OrdMap, Vector};

/// Items with a dense number each, given on first sight and never reused. A copy shares everything.
#[derive(Debug, Clone)]
pub struct Directory<Id: Ord, T> {
    numbers: OrdMap<Id, u32>,
    items: Vector<Option<Arc<T>>>,
}

impl<Id: Ord + Clone, T> Directory<Id, T> {
    /// A directory without items.
    pub fn new() -> Self {
        Self {
            numbers: OrdMap::new(),
            items: Vector::new(),
        }
    }

    /// The number that an id has.
    pub fn number<Q>(&self, id: &Q) -> Option<u32>
    where
        Id: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.numbers.get(id).copied()
    }

    /// The item of a number; `None` once it was removed.
    pub fn get(&self, number: u32) -> Option<&Arc<T>> {
        self.items.get(number as usize)?.as_ref()
    }

    /// Puts an item under its id, new or in place of the one there. Returns its number and whether
    /// it was new.
    pub fn put(&mut self, id: Id, item: Arc<T>) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(&id) {
            self.items.set(number as usize, Some(item));
            return (number, false);
        }
        let number = self.items.len() as u32;
        self.items.push_back(Some(item));
        self.numbers.insert(id, number);
        (number, true)
    }

    /// Puts a stored item back under its stored number.
    pub fn restore(&mut self, number: u32, id: Id, item: Arc<T>) {
        self.reserve(number + 1);
        self.items.set(number as usize, Some(item));
        self.numbers.insert(id, number);
    }

    /// Makes the next number at least `next`, so that removed items' numbers are not given again.
    pub fn reserve(&mut self, next: u32) {
        while self.items.len() < next as usize {
            self.items.push_back(None);
        }
    }

    /// Removes an item; its number stays taken.
    pub fn remove(&mut self, id: &Id) -> Option<u32> {
        let number = self.numbers.remove(id)?;
        self.items.set(number as usize, None);
        Some(number)
    }

    /// Numbers given so far, removed ones included: rows or columns of a matrix over them.
    pub fn numbers(&self) -> usize {
        self.items.len()
    }

    /// Items that are there.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Items from a number on, with their numbers, in number order.
    pub fn from(&self, first: u32) -> impl Iterator<Item = (u32, &Arc<T>)> {
        let skipped = (first as usize).min(self.items.len());
        self.items
            .focus()
            .narrow(skipped..)
            .into_iter()
            .enumerate()
            .filter_map(move |(at, item)| Some(((skipped + at) as u32, item.as_ref()?)))
    }
}

impl<Id: Ord + Clone, T> Default for Directory<Id, T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_never_given_twice() {
        let mut directory: Directory<String, &str> = Directory::new();
        assert_eq!(directory.put("a".into(), Arc::new("one")), (0, true));
        assert_eq!(directory.put("b".into(), Arc::new("two")), (1, true));
        assert_eq!(directory.put("a".into(), Arc::new("uno")), (0, false));
        assert_eq!(directory.remove(&"b".to_owned()), Some(1));
        assert_eq!(directory.put("b".into(), Arc::new("again")), (2, true));
        let listed: Vec<_> = directory.from(0).map(|(no, item)| (no, **item)).collect();
        assert_eq!(listed, [(0, "uno"), (2, "again")]);
        assert_eq!(directory.from(1).count(), 1);
        assert_eq!(directory.numbers(), 3);
    }
}
