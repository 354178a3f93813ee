//! HTTP/2 as an attacker writes it: frames by hand, in any order, without a library that would refuse.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// HTTP/2's preface and an empty SETTINGS frame.
pub const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame as it is on the wire.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields without an index or Huffman code (RFC 7541, section 6.2.2).
pub fn fields(of: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in of {
        bytes.push(0);
        for text in [name, value] {
            bytes.push(u8::try_from(text.len()).unwrap());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The headers of a call.
pub fn call(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

/// A message as a call's body holds it.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    framed.extend(bytes);
    framed
}

/// A connection from an address of this machine: all of 127.0.0.0/8 are.
pub async fn connect(to: SocketAddr, from: u8) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 1, from], 0)))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Writes, reading away whatever comes back; an error once the peer has closed.
pub async fn write(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    let (mut reads, mut writes) = stream.split();
    let mut away = [0; 4096];
    let writing = writes.write_all(bytes);
    tokio::pin!(writing);
    loop {
        tokio::select! {
            done = &mut writing => return done,
            read = reads.read(&mut away) => if read? == 0 {
                return Err(std::io::ErrorKind::ConnectionReset.into());
            },
        }
    }
}

/// Whether a peer closes within a time, reading away whatever comes.
pub async fn closes(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut away = [0; 4096];
    let closing = async { while stream.read(&mut away).await.is_ok_and(|read| read > 0) {} };
    tokio::time::timeout(patience, closing).await.is_ok()
}
