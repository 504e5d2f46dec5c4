use std::task::Context;

use divan::Bencher;
use wsgate_bench::bench;
use wsgate_frame::Role;

use super::support::{
    Bare, Client, Drained, Handler, IdleTimeout, Incoming, Keepalive, Lifetime, Limit, LimitAll,
    Observe, ObserveLog, ReadTimeout, Recommended, RecommendedLog, Socket, Stack, Strict, Three,
    runtime, waker,
};

/// A message is read and answered, and the next one is waited for: a read, a write, a flush, and a
/// read that finds nothing.
#[divan::bench(
    args = PAYLOADS,
    sample_count = 500,
    sample_size = 500,
    types = [
        Bare, Keepalive, ReadTimeout, IdleTimeout, Lifetime, Limit, LimitAll, Strict, Drained, Observe,
        ObserveLog, Three, Recommended, RecommendedLog,
    ],
)]
fn echo<S: Stack>(bencher: Bencher<'_, '_>, payload: usize) {
    let client = Client::new(payload, Client::PATIENT);
    run::<S>(bencher, client, payload, |socket, cx, buf, answer| {
        socket.answer(cx, buf, answer);
        socket.wait(cx, buf);
    });
}

/// The next message is always there already.
#[divan::bench(
    args = PAYLOADS,
    sample_count = 500,
    sample_size = 500,
    types = [
        Bare, Keepalive, ReadTimeout, IdleTimeout, Lifetime, Limit, LimitAll, Strict, Drained, Observe,
        ObserveLog, Three, Recommended, RecommendedLog,
    ],
)]
fn flood<S: Stack>(bencher: Bencher<'_, '_>, payload: usize) {
    run::<S>(bencher, Client::new(payload, 1), payload, Socket::answer);
}

fn run<S: Stack>(
    bencher: Bencher<'_, '_>,
    client: Client,
    payload: usize,
    echo: impl Fn(&mut Socket, &mut Context<'_>, &mut [u8], &[u8]),
) {
    let runtime = runtime();
    let handler = Handler::default();
    let mut service = S::around(handler.clone());
    let opening = Incoming::new(0, client).open(&mut service, &handler);
    let mut socket = runtime.block_on(opening);

    // Where timers are made.
    let _in_runtime = runtime.enter();
    let waker = waker();
    let mut cx = Context::from_waker(&waker);
    let mut buf = vec![0; READ];
    let answer = Socket::frame(Role::Server, payload);
    // What the first message does for all that follow.
    socket.answer(&mut cx, &mut buf, &answer);
    socket.wait(&mut cx, &mut buf);
    bench(bencher, || echo(&mut socket, &mut cx, &mut buf, &answer));
}

/// Payload sizes in bytes.
const PAYLOADS: [usize; 2] = [64, 16 * 1024];
/// What a relay reads at once, in bytes.
const READ: usize = 64 * 1024;
