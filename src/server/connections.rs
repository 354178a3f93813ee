//! Who may hold a connection: so many in all, and so many from one address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Limits;

/// Connections that are open. Invariant: `all` is the sum of `by_address`, which holds no 0.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
    refused: u64,
}

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

impl Places {
    /// As many as limits give.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            taken: Mutex::default(),
        }
    }

    /// A place for one more connection, given back when it is dropped.
    pub(super) fn take(self: Arc<Self>, address: IpAddr) -> Option<Place> {
        // The same caller, whichever way it is written.
        let address = address.to_canonical();
        let mut taken = self.lock();
        let of_address = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= self.most || of_address >= self.most_per_address {
            taken.refused += 1;
            // Each time as many as before: a flood of callers is no flood of lines.
            if taken.refused.is_power_of_two() {
                tracing::warn!(
                    refused = taken.refused,
                    open = taken.all,
                    of_address,
                    "connections refused; see --max-connections and --max-connections-per-address"
                );
            }
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, of_address + 1);
        drop(taken);
        Some(Place {
            places: self,
            address,
        })
    }

    /// A poisoned lock guards counts that no step leaves half done.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place of one connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by_address.get(&self.address).copied().unwrap_or(0);
        if left > 1 {
            taken.by_address.insert(self.address, left - 1);
        } else {
            taken.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_those_of_a_plain_count(steps in prop::collection::vec((0_u8..4, any::<bool>()), 0..200)) {
            let places = Arc::new(Places { most: 6, most_per_address: 3, taken: Mutex::default() });
            let mut held: Vec<(u8, Place)> = Vec::new();
            for (host, come) in steps {
                if come {
                    let of_host = held.iter().filter(|(of, _)| *of == host).count();
                    let fits = held.len() < 6 && of_host < 3;
                    let address = Ipv4Addr::new(10, 0, 0, host);
                    let address = match held.len() % 2 {
                        0 => IpAddr::V4(address),
                        _ => IpAddr::V6(address.to_ipv6_mapped()),
                    };
                    let place = places.clone().take(address);
                    prop_assert_eq!(place.is_some(), fits);
                    held.extend(place.map(|place| (host, place)));
                } else if let Some(at) = held.iter().position(|(of, _)| *of == host) {
                    held.remove(at);
                }
                let taken = places.lock();
                prop_assert_eq!(taken.all, held.len());
                prop_assert_eq!(taken.by_address.values().sum::<usize>(), held.len());
                prop_assert!(taken.by_address.values().all(|count| *count > 0));
            }
        }
    }
}
