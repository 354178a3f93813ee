//! The bytes of a connection on their way in: nobody reads so long that others wait, and frames that carry
//! nothing of a call are taken only so fast.
//!
//! A PING, a SETTINGS, a PRIORITY or an empty DATA frame costs its sender a few bytes and the server as
//! much work as a call's own frames. They are counted as they pass; a connection with too many of them in a
//! second is not read any further before the next, and the system's window then holds its peer up.
//!
//! A turn is measured by the work that its bytes make: a few hundred bytes may open and reset as many calls as
//! take a millisecond, in which others on the thread would wait.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::time::{Instant, Sleep};

use super::pulse::Pulse;

/// The work of a turn, after which other connections have theirs, in bytes of messages.
const TURN: usize = 128 * 1024;
/// What a frame costs besides its bytes, and what each byte of one that is no message does: it is unpacked.
const PER_FRAME: usize = 4 * 1024;
const PER_HEADER_BYTE: usize = 8;
/// Bytes that are read at once where they may be many small frames.
const PIECE: u64 = 2 * 1024;
/// Over which time frames are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Frames that a call may need beside its own: its window, its end, a ping about it.
const PER_CALL: u64 = 8;
/// Bytes of answers for each of which a caller may send a frame: windows opened as it reads.
const PER_ANSWERED: u64 = 4 * 1024;
/// A connection of HTTP/2 begins with this (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The length of a frame's header (RFC 9113, section 4.1).
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
/// A DATA frame with less than this carries nothing, unless it is the last.
const LEAST_DATA: u32 = 64;
const END_STREAM: u8 = 1;

/// A stream whose frames are counted.
pub(super) struct Frames<IO> {
    io: Take<IO>,
    pulse: Arc<Pulse>,
    most: u64,
    /// The work that had passed when this turn began.
    turn: usize,
    reader: Reader,
    window: Window,
    paused: Option<Pin<Box<Sleep>>>,
}

/// What had passed when a second began.
struct Window {
    began: Instant,
    control: u64,
    called: u64,
    answered: u64,
}

impl<IO: AsyncRead> Frames<IO> {
    pub(super) fn new(io: IO, pulse: Arc<Pulse>, most: u32) -> Self {
        Self {
            io: io.take(PIECE),
            pulse,
            most: u64::from(most),
            turn: 0,
            reader: Reader::default(),
            window: Window {
                began: Instant::now(),
                control: 0,
                called: 0,
                answered: 0,
            },
            paused: None,
        }
    }

    /// Until when nothing is to be read, where it is so.
    fn pause(&mut self) -> Option<Instant> {
        let control = self.reader.control - self.window.control;
        if control <= self.most {
            return None;
        }
        let (called, answered) = (self.pulse.called(), self.pulse.answered_bytes());
        let (now, end) = (Instant::now(), self.window.began + WINDOW);
        if now >= end {
            self.window = Window {
                began: now,
                control: self.reader.control,
                called,
                answered,
            };
            return None;
        }
        let needed = (called - self.window.called) * PER_CALL
            + (answered - self.window.answered) / PER_ANSWERED;
        (control > self.most + needed).then_some(end)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Frames<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(paused) = &mut this.paused {
            ready!(paused.as_mut().poll(context));
            this.paused = None;
        }
        if let Some(end) = this.pause() {
            let paused = this.paused.insert(Box::pin(tokio::time::sleep_until(end)));
            ready!(paused.as_mut().poll(context));
            this.paused = None;
        }
        if this.reader.work - this.turn >= TURN {
            this.turn = this.reader.work;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        this.io.set_limit(this.reader.room());
        let read = Pin::new(&mut this.io).poll_read(context, buffer);
        if read.is_pending() {
            this.turn = this.reader.work;
        }
        ready!(read)?;
        this.reader.pass(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Frames<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_shutdown(context)
    }
}

/// Counts frames in bytes that come in any pieces.
#[derive(Debug, Default)]
struct Reader {
    /// What of the preface was seen; `None` for a connection that is not HTTP/2.
    place: Place,
    /// Frames that carried nothing of a call.
    control: u64,
    /// What all that passed takes to be worked in, in bytes of messages.
    work: usize,
}

#[derive(Debug)]
enum Place {
    Preface(usize),
    Other,
    Header([u8; HEADER], usize),
    Payload { left: usize, message: bool },
}

impl Default for Place {
    fn default() -> Self {
        Self::Preface(0)
    }
}

impl Reader {
    /// How many bytes may be read at once.
    fn room(&self) -> u64 {
        match self.place {
            Place::Payload {
                left,
                message: true,
            } => left as u64 + PIECE,
            Place::Other => u64::MAX,
            _ => PIECE,
        }
    }

    fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.place {
                Place::Other => {
                    self.work += bytes.len();
                    return;
                }
                Place::Preface(seen) => {
                    let left = &PREFACE[*seen..];
                    let count = left.len().min(bytes.len());
                    if left[..count] != bytes[..count] {
                        self.place = Place::Other;
                        return;
                    }
                    *seen += count;
                    bytes = &bytes[count..];
                    if *seen == PREFACE.len() {
                        self.place = Place::Header([0; HEADER], 0);
                    }
                }
                Place::Header(header, seen) => {
                    let count = (HEADER - *seen).min(bytes.len());
                    header[*seen..*seen + count].copy_from_slice(&bytes[..count]);
                    *seen += count;
                    bytes = &bytes[count..];
                    if *seen == HEADER {
                        let [high, middle, low, kind, flags, ..] = *header;
                        let length = u32::from_be_bytes([0, high, middle, low]);
                        let of_a_call = match kind {
                            DATA => length >= LEAST_DATA || flags & END_STREAM != 0,
                            HEADERS => true,
                            _ => false,
                        };
                        self.control += u64::from(!of_a_call);
                        self.work += PER_FRAME;
                        self.place = match length {
                            0 => Place::Header([0; HEADER], 0),
                            length => Place::Payload {
                                left: length as usize,
                                message: kind == DATA,
                            },
                        };
                    }
                }
                Place::Payload { left, message } => {
                    let count = (*left).min(bytes.len());
                    *left -= count;
                    self.work += match message {
                        true => count,
                        false => count * PER_HEADER_BYTE,
                    };
                    bytes = &bytes[count..];
                    if *left == 0 {
                        self.place = Place::Header([0; HEADER], 0);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn frame(kind: u8, flags: u8, length: u32) -> Vec<u8> {
        let [_, high, middle, low] = length.to_be_bytes();
        let mut bytes = vec![high, middle, low, kind, flags, 0, 0, 0, 1];
        bytes.resize(HEADER + length as usize, 7);
        bytes
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_the_bytes_are_cut(
            frames in prop::collection::vec((0_u8..10, any::<bool>(), 0_u32..200), 0..40),
            cuts in prop::collection::vec(1_usize..50, 1..50),
        ) {
            let mut bytes = PREFACE.to_vec();
            let mut expected = 0;
            for (kind, end, length) in &frames {
                bytes.extend(frame(*kind, u8::from(*end), *length));
                let of_a_call = *kind == 1 || (*kind == 0 && (*end || *length >= 64));
                expected += u64::from(!of_a_call);
            }
            let mut reader = Reader::default();
            let mut left = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (now, later) = left.split_at((*cut).min(left.len()));
                reader.pass(now);
                left = later;
                if left.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(reader.control, expected);
            let work: u32 = frames
                .iter()
                .map(|(kind, _, length)| 4_096 + length * if *kind == DATA { 1 } else { 8 })
                .sum();
            prop_assert_eq!(reader.work, work as usize);
        }

        #[test]
        fn bytes_of_any_other_kind_are_let_be(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assume!(!bytes.starts_with(b"P"));
            let mut reader = Reader::default();
            reader.pass(&bytes);
            prop_assert_eq!(reader.control, 0);
        }
    }

    /// How often a stream of these frames gives others their turn, and how many reads it takes.
    async fn turns_and_reads(frames: Vec<u8>) -> (usize, usize) {
        let bytes = [PREFACE.to_vec(), frames].concat();
        let mut frames = Frames::new(&bytes[..], Arc::default(), u32::MAX);
        let (mut turns, mut reads) = (0, 0);
        let mut buffer = vec![0; 64 * 1024];
        std::future::poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut buffer);
            match Pin::new(&mut frames).poll_read(context, &mut buffer) {
                Poll::Pending => {
                    turns += 1;
                    Poll::Pending
                }
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(()),
                Poll::Ready(read) => {
                    read.unwrap();
                    reads += 1;
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        })
        .await;
        (turns, reads)
    }

    #[tokio::test]
    async fn others_wait_for_some_tens_of_frames_and_not_for_the_messages_of_an_import() {
        let small: Vec<u8> = (0..1_000).flat_map(|_| frame(3, 0, 4)).collect();
        let (turns, _) = turns_and_reads(small).await;
        assert!((5..=32).contains(&turns), "{turns}");
        let large: Vec<u8> = (0..64).flat_map(|_| frame(DATA, 0, 16 * 1024)).collect();
        let (turns, reads) = turns_and_reads(large).await;
        assert!(turns <= 12 && reads <= 70, "{turns} {reads}");
    }

    #[tokio::test]
    async fn a_flood_of_pings_is_read_a_second_s_worth_a_second() {
        let mut bytes = PREFACE.to_vec();
        for _ in 0..1_000 {
            bytes.extend(frame(6, 0, 8));
        }
        let mut frames = Frames::new(&bytes[..], Arc::default(), 400);
        let began = Instant::now();
        let mut buffer = [0; 17];
        while frames.read(&mut buffer).await.unwrap() > 0 {}
        let took = began.elapsed();
        assert!((2..=4).contains(&took.as_secs()), "{took:?}");
    }
}
