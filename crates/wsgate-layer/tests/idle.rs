//! What an open WebSocket holds in memory while nothing passes, layer by layer:
//! `cargo test -p wsgate-layer --test idle -- --show-output`

#[path = "../benches/costs/support/mod.rs"]
mod support;

use std::task::Context;

use allocation_counter::{AllocationInfo, measure};
use wsgate_frame::Role;

use self::support::{
    Bare, Client, Drained, Handler, IdleTimeout, Incoming, Keepalive, Lifetime, Limit, LimitAll,
    Observe, ObserveLog, Origin, ReadTimeout, Recommended, RecommendedLog, Socket, Stack, Strict,
    Three, log, runtime, waker,
};

/// The numbers are those of the table in `docs/layers.md`, of a machine of 64 bits.
#[test]
fn an_idle_websocket_stays_small() {
    log();
    check::<Keepalive>("keepalive", 552, 4);
    check::<ReadTimeout>("read timeout", 552, 4);
    check::<IdleTimeout>("idle timeout", 600, 5);
    check::<Lifetime>("lifetime", 552, 4);
    check::<Limit>("limit", 614, 4);
    check::<LimitAll>("limit, everything", 825, 7);
    check::<Origin>("origin", 0, 0);
    check::<Strict>("strict frames", 440, 3);
    check::<Drained>("drain", 520, 4);
    check::<Observe>("observe", 512, 4);
    check::<ObserveLog>("observe, log", 514, 4);
    check::<Three>("three layers", 704, 5);
    check::<Recommended>("the stack", 926, 6);
    check::<RecommendedLog>("the stack, log", 1038, 7);
}

/// Compares what a WebSocket with these layers holds above one without. It may become somewhat more
/// bytes, but no more blocks: each costs the allocator some bytes as well.
#[track_caller]
fn check<S: Stack>(layers: &str, expected: i64, most_blocks: i64) {
    let (with, without) = (held::<S>(), held::<Bare>());
    let each = |all: i64| all / i64::from(SOCKETS);
    let bytes = each(with.bytes_current - without.bytes_current);
    let blocks = each(with.count_current - without.count_current);
    #[expect(clippy::print_stdout, reason = "a test program keeps it for who asks")]
    {
        println!("{layers:>17}: {bytes:5} bytes in {blocks:2} blocks");
    }
    let at_most = expected * 105 / 100;
    assert!(
        bytes <= at_most,
        "{layers}: {bytes} bytes, more than {at_most}"
    );
    assert!(
        blocks <= most_blocks,
        "{layers}: {blocks} blocks, more than {most_blocks}"
    );
}

/// What many WebSockets of many clients hold after a message and its answer.
fn held<S: Stack>() -> AllocationInfo {
    let runtime = runtime();
    let handler = Handler::default();
    let mut service = S::around(handler.clone());
    let client = Client::new(64, Client::PATIENT);
    let answer = Socket::frame(Role::Server, 64);
    let waker = waker();
    let mut cx = Context::from_waker(&waker);
    let mut buf = vec![0; 4096];

    let mut sockets = Vec::with_capacity(SOCKETS as usize);
    measure(|| {
        for number in 0..SOCKETS {
            let incoming = Incoming::new(number, client.clone());
            let mut socket = runtime.block_on(incoming.open(&mut service, &handler));
            // Where timers are made.
            let _in_runtime = runtime.enter();
            socket.answer(&mut cx, &mut buf, &answer);
            socket.wait(&mut cx, &mut buf);
            sockets.push(socket);
        }
    })
}

/// Tables that grow by doubling are nearly full with so many.
const SOCKETS: u32 = 1750;
