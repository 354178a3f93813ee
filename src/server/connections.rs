//! Who may hold a connection: so many in all, so many from one address, and only callers that begin to
//! speak.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use super::Limits;

/// The length of HTTP/2's connection preface (RFC 9113, section 3.4). No HTTP/1 request and no TLS
/// greeting that can be served is shorter.
const PREFACE_BYTES: usize = 24;

/// The connections of a listener, within the limits. One too many is closed at once, before anything
/// is read of it, so that it costs no memory.
pub(super) fn admitted(
    listener: TcpListener,
    limits: &Limits,
) -> impl Stream<Item = io::Result<Connection>> + use<> {
    let places = Arc::new(Places {
        most: limits.connections,
        most_per_address: limits.connections_per_address,
        taken: Mutex::default(),
    });
    let preface = limits.preface;
    // The transport sets this only on sockets that it binds itself. Without it an answer's trailer
    // waits for the caller's delayed acknowledgement, some 40 ms.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    incoming.filter_map(move |accepted| match accepted {
        Ok(stream) => {
            // A caller that has left again has no address and needs no place.
            let address = stream.peer_addr().ok()?.ip();
            let place = places.clone().take(address)?;
            Some(Ok(Connection::new(stream, place, preface)))
        }
        Err(error) => Some(Err(error)),
    })
}

/// Connections that are open. Invariant: `all` is the sum of `by_address`, which holds no 0.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
    refused: u64,
}

#[derive(Debug)]
struct Places {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

impl Places {
    /// A place for one more connection, given back when it is dropped.
    fn take(self: Arc<Self>, address: IpAddr) -> Option<Place> {
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

#[derive(Debug)]
struct Place {
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

/// A connection that holds its place, and fails where its first bytes do not come in time.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    /// Until the preface is read: how much of it is missing, and when it is too late.
    greeting: Option<(usize, Pin<Box<Sleep>>)>,
    _place: Place,
}

impl Connection {
    fn new(stream: TcpStream, place: Place, preface: Duration) -> Self {
        Self {
            stream,
            greeting: Some((PREFACE_BYTES, Box::pin(tokio::time::sleep(preface)))),
            _place: place,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some((_, late)) = &mut this.greeting
            && late.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len() - before;
        this.greeting = this.greeting.take().and_then(|(missing, late)| {
            let missing = missing.saturating_sub(read);
            (missing > 0).then_some((missing, late))
        });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
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
