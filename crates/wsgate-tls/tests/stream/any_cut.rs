//! What goes in at one end comes out at the other, however the streams between behave.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use rustls::version::{TLS12, TLS13};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};

use crate::support::{House, KINDS, Kind, pattern};

/// A stream that moves as many bytes at once as its plan says; zero stands for a delay.
struct Fickle {
    inner: DuplexStream,
    plan: Vec<usize>,
    /// For each of read, write and flush by itself: two that take turns may meet the delays only.
    turns: [usize; 3],
}

#[derive(Clone, Debug)]
struct Plan {
    tls12: bool,
    /// What the pipe holds. A handshake's flights have to fit: neither side reads before its own is
    /// written.
    pipe: usize,
    /// For the streams of both.
    moves: Vec<usize>,
    /// Sizes of writes, either direction; those that are a multiple of three are flushed.
    up: Vec<usize>,
    down: Vec<usize>,
    /// The sizes of both readers' buffers.
    reads: Vec<usize>,
}

// ===== impl Fickle =====

impl Fickle {
    fn new(inner: DuplexStream, plan: &Plan) -> Self {
        Self {
            inner,
            plan: plan.moves.clone(),
            turns: [0; 3],
        }
    }

    fn poll_turn(&mut self, action: usize, cx: &Context<'_>) -> Poll<usize> {
        let size = self.plan[self.turns[action] % self.plan.len()];
        self.turns[action] += 1;
        if size == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(size)
    }
}

impl AsyncRead for Fickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let size = ready!(self.poll_turn(READ, cx)).min(buf.remaining());
        let mut part = vec![0; size];
        let mut part = ReadBuf::new(&mut part);
        ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Fickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let size = ready!(self.poll_turn(WRITE, cx)).min(buf.len());
        Pin::new(&mut self.inner).poll_write(cx, &buf[..size])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_turn(FLUSH, cx));
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

const READ: usize = 0;
const WRITE: usize = 1;
const FLUSH: usize = 2;

fn plans() -> impl Strategy<Value = Plan> {
    let sizes = || prop::collection::vec(prop_oneof![1..200usize, 1..40_000usize], 0..8);
    let moves = prop_oneof![0..20usize, 0..40_000usize];
    (
        any::<bool>(),
        prop_oneof![1000..2000usize, 1000..100_000usize],
        prop::collection::vec(moves, 1..8).prop_map(|mut moves| {
            if moves.iter().all(|size| *size == 0) {
                // Some bytes have to move.
                moves.push(1);
            }
            moves
        }),
        sizes(),
        sizes(),
        prop::collection::vec(prop_oneof![1..50usize, 1..100_000usize], 1..5),
    )
        .prop_map(|(tls12, pipe, moves, up, down, reads)| {
            // Byte by byte it takes long enough with a little.
            let slow = moves.iter().all(|size| *size < 100);
            let most = if slow { 1000 } else { usize::MAX };
            let bounded =
                |sizes: Vec<usize>| sizes.into_iter().map(|size| size.min(most)).collect();
            Plan {
                tls12,
                pipe,
                moves,
                up: bounded(up),
                down: bounded(down),
                reads,
            }
        })
}

async fn write<T>(mut stream: T, sizes: &[usize])
where
    T: AsyncWrite + Unpin,
{
    let plain = pattern(sizes.iter().sum());
    let mut rest = &plain[..];
    for (index, size) in sizes.iter().enumerate() {
        let (mut part, others) = rest.split_at(*size);
        rest = others;
        while !part.is_empty() {
            let middle = part.len() / 2;
            let count = if index % 2 == 0 {
                let slices = [&part[..middle], &part[middle..]].map(IoSlice::new);
                stream.write_vectored(&slices).await.unwrap()
            } else {
                stream.write(part).await.unwrap()
            };
            part = &part[count..];
        }
        if size % 3 == 0 {
            stream.flush().await.unwrap();
        }
    }
    stream.shutdown().await.unwrap();
}

async fn read<T>(stream: &mut T, sizes: &[usize]) -> Vec<u8>
where
    T: AsyncRead + Unpin,
{
    let mut read = Vec::new();
    for size in sizes.iter().cycle() {
        let mut buffer = vec![0; *size];
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    read
}

async fn exchange<T>(stream: T, reads: &[usize], writes: &[usize]) -> Vec<u8>
where
    T: AsyncRead + AsyncWrite,
{
    let (mut input, output) = tokio::io::split(stream);
    tokio::join!(read(&mut input, reads), write(output, writes)).0
}

/// Between a server and a client of these kinds.
async fn run([server, client]: [Kind; 2], house: &House, plan: &Plan) {
    let (near, far) = duplex(plan.pipe);
    let version = if plan.tls12 { &TLS12 } else { &TLS13 };
    // Each reads as soon as its own handshake is over: the other may have tickets to send yet.
    let near = Fickle::new(near, plan);
    let config = Arc::new(house.client_of(version));
    let connected = async {
        let stream = client.connect(near, config).await.unwrap();
        exchange(stream, &plan.reads, &plan.up).await
    };
    let far = Fickle::new(far, plan);
    let accepted = async {
        let config = Arc::new(house.server());
        let stream = server.accept(far, config).await.unwrap();
        exchange(stream, &plan.reads, &plan.down).await
    };
    let (down, up) = tokio::join!(connected, accepted);
    let sum = |sizes: &[usize]| pattern(sizes.iter().sum());
    assert!(up == sum(&plan.up), "{client:?} to {server:?}");
    assert!(down == sum(&plan.down), "{server:?} to {client:?}");
}

/// Between an end of either kind and one of the other, so that two faults do not make up for each other.
fn what_goes_in_comes_out_by(plan: &Plan) {
    static HOUSE: LazyLock<House> = LazyLock::new(House::new);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for ends in [KINDS, [KINDS[1], KINDS[0]]] {
        runtime.block_on(run(ends, &HOUSE, plan));
    }
}

/// The same, by the plan that these bytes, of which 32 count, are the seed of.
pub(crate) fn hold_for(bytes: &[u8]) {
    // Not the numbers themselves: half of what is left goes to each choice among strategies, and those that
    // draw from nothing never end.
    let mut seed = [0; 32];
    seed.iter_mut()
        .zip(bytes)
        .for_each(|(seed, byte)| *seed = *byte);
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), chance);
    if let Ok(plan) = plans().new_tree(&mut runner) {
        what_goes_in_comes_out_by(&plan.current());
    }
}

#[test]
fn what_fuzzing_came_upon() {
    wsgate_seeds::replay("tls", hold_for);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_goes_in_comes_out(plan in plans()) {
        what_goes_in_comes_out_by(&plan);
    }
}
