//! Messages too long to be held: made, sent and checked piece by piece.

use std::sync::LazyLock;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::{Frame, Role};

/// A binary message in one frame. Its payload repeats itself, but not within any power of two: a
/// piece that is lost, doubled or moved does not go unseen.
#[derive(Clone, Debug)]
pub struct Bulk {
    header: Vec<u8>,
    length: usize,
}

// ===== impl Bulk =====

impl Bulk {
    /// A message of so many bytes, as this end sends it.
    pub fn from(role: Role, length: usize) -> Self {
        let frame = Frame::binary("");
        let frame = match role {
            Role::Client => frame.masked([0xa1, 0xb2, 0xc3, 0xd4]),
            Role::Server => frame,
        };
        Self {
            header: frame.header_for(length),
            length,
        }
    }

    /// All bytes of the frame.
    pub fn wire_length(&self) -> usize {
        self.header.len() + self.length
    }

    /// Sends it in big pieces, as fast as they are taken; `taken` is told of each.
    ///
    /// # Panics
    ///
    /// When the connection breaks.
    pub async fn send<W>(&self, writer: &mut W, mut taken: impl FnMut(usize))
    where
        W: AsyncWrite + Unpin,
    {
        writer.write_all(&self.header).await.expect("a header");
        taken(self.header.len());
        let mut sent = 0;
        while sent < self.length {
            let piece = &PATTERN[sent % PERIOD..][..PIECE.min(self.length - sent)];
            let length = writer.write(piece).await.expect("a connection that lasts");
            taken(length);
            sent += length;
        }
        writer.flush().await.expect("a connection that lasts");
    }

    /// Reads it, and holds every byte against the one that was sent.
    ///
    /// # Panics
    ///
    /// When one differs, or the connection ends before the last.
    pub async fn receive<R>(&self, reader: &mut R)
    where
        R: AsyncRead + Unpin,
    {
        let mut header = vec![0; self.header.len()];
        reader.read_exact(&mut header).await.expect("a header");
        assert_eq!(header, self.header);
        let mut piece = vec![0; PIECE];
        let mut received = 0;
        while received < self.length {
            let room = PIECE.min(self.length - received);
            let read = reader.read(&mut piece[..room]).await;
            let read = read.expect("a connection that lasts");
            assert_ne!(read, 0, "it ends after {received} bytes");
            let expected = &PATTERN[received % PERIOD..][..read];
            assert!(piece[..read] == *expected, "after {received} bytes");
            received += read;
        }
    }
}

/// As much as is written and read at once.
const PIECE: usize = 1 << 18;

/// A prime number.
const PERIOD: usize = 65_521;

/// The payload, from every offset in its first period a piece long.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u32;
    let random = std::iter::repeat_with(|| {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    });
    let period: Vec<u8> = random.take(PERIOD).collect();
    period
        .iter()
        .copied()
        .cycle()
        .take(PERIOD + PIECE)
        .collect()
});
