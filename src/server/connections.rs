//! Who may hold a connection: so many in all, and so many from one address. One from an address whose connections
//! have just broken the protocol one after the other waits before a byte of it is read: closing it at once would
//! make room for the next.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Limits;

/// Over which time breaches of the protocol are counted.
const WINDOW: Duration = Duration::from_secs(1);

/// Connections that are open. Invariant: `all` is the sum of `by_address`, which holds no 0.
#[derive(Debug)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
    refused: u64,
    breaches: Breaches,
    held_up: u64,
}

/// How often each address broke the protocol since a second began. A flood of addresses fills it for a second at most.
#[derive(Debug)]
struct Breaches {
    began: Instant,
    by_address: BTreeMap<IpAddr, u32>,
}

impl Breaches {
    fn renew(&mut self, now: Instant) {
        if now.saturating_duration_since(self.began) >= WINDOW {
            self.began = now;
            self.by_address.clear();
        }
    }

    fn of(&self, address: IpAddr) -> u32 {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    fn note(&mut self, address: IpAddr, now: Instant) {
        self.renew(now);
        *self.by_address.entry(address).or_default() += 1;
    }
}

/// The places that there are.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    most_breaches: u32,
    taken: Mutex<Taken>,
}

impl Places {
    /// As many as limits give.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            most: limits.connections,
            most_per_address: limits.connections_per_address,
            most_breaches: match limits.breaches_per_address {
                0 => u32::MAX,
                most => most,
            },
            taken: Mutex::new(Taken {
                all: 0,
                by_address: BTreeMap::new(),
                refused: 0,
                breaches: Breaches {
                    began: Instant::now(),
                    by_address: BTreeMap::new(),
                },
                held_up: 0,
            }),
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

impl Place {
    /// Until when its connection waits, where its address broke the protocol too often.
    pub(super) fn waits(&self, now: Instant) -> Option<Instant> {
        let mut taken = self.places.lock();
        taken.breaches.renew(now);
        let breaches = taken.breaches.of(self.address);
        if breaches < self.places.most_breaches {
            return None;
        }
        taken.held_up += 1;
        if taken.held_up.is_power_of_two() {
            tracing::warn!(
                held_up = taken.held_up,
                breaches,
                "connections of an address that broke the protocol wait; see --breaches-per-address"
            );
        }
        Some(taken.breaches.began + WINDOW)
    }

    /// Its peer did what the protocol does not let it do.
    pub(super) fn breached(&self, now: Instant) {
        self.places.lock().breaches.note(self.address, now);
    }
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
        fn places_are_those_of_a_plain_count(steps in prop::collection::vec((0_u8..4, 0_u8..3, 0_u64..400), 0..200)) {
            let limits = Limits {
                connections: 6,
                connections_per_address: 3,
                breaches_per_address: 2,
                ..Limits::default()
            };
            let places = Arc::new(Places::new(&limits));
            let mut now = places.lock().breaches.began;
            let mut second = now;
            let mut breaches: Vec<u8> = Vec::new();
            let mut held: Vec<(u8, Place)> = Vec::new();
            for (host, what, after) in steps {
                now += Duration::from_millis(after);
                // A second ends for all when anybody comes or breaks in.
                places.lock().breaches.renew(now);
                if now >= second + WINDOW {
                    second = now;
                    breaches.clear();
                }
                if what == 0 {
                    let of_host = held.iter().filter(|(of, _)| *of == host).count();
                    let fits = held.len() < 6 && of_host < 3;
                    let address = Ipv4Addr::new(10, 0, 0, host);
                    let address = match held.len() % 2 {
                        0 => IpAddr::V4(address),
                        _ => IpAddr::V6(address.to_ipv6_mapped()),
                    };
                    let place = places.clone().take(address);
                    prop_assert_eq!(place.is_some(), fits);
                    if let Some(place) = &place {
                        let broke = breaches.iter().filter(|of| **of == host).count();
                        prop_assert_eq!(place.waits(now).is_some(), broke >= 2);
                    }
                    held.extend(place.map(|place| (host, place)));
                } else if let Some(at) = held.iter().position(|(of, _)| *of == host) {
                    let (_, place) = held.remove(at);
                    if what == 1 {
                        place.breached(now);
                        breaches.push(host);
                    }
                }
                let taken = places.lock();
                prop_assert_eq!(taken.all, held.len());
                prop_assert_eq!(taken.by_address.values().sum::<usize>(), held.len());
                prop_assert!(taken.by_address.values().all(|count| *count > 0));
            }
        }
    }
}
