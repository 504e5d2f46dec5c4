//! Any operations on a relay, by its two sides and from outside, against a model.
//!
//! The relay is polled here by hand, and only when it was woken: a wake-up that is lost leaves it where it
//! is, and it does not finish. What the operations are is read from bytes, by a fuzzer or by chance.

mod model;
mod script;
mod wire;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::runtime;
use wsgate_frame::Role;
use wsgate_layer::handshake::Kind;

use self::{
    model::Expected,
    script::{Op, Script, Side},
    wire::{End, Wire},
};
use super::{Labels, relay::Relay};
use crate::upstream::{EndpointSettings, Handshake, Upstream};

/// Plays the operations that these bytes say, and holds what came of them to the model.
///
/// # Panics
///
/// When the relay breaks a promise.
pub(crate) fn keep_the_promises(bytes: &[u8]) {
    let Some((script, flags)) = Script::of(bytes) else {
        return;
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing");
    runtime.block_on(async {
        let mut stage = Stage::new(flags);
        for op in script {
            stage.play(op).await;
            if stage.is_cancelled {
                return stage.expected.hold(&stage.client, &stage.upstream);
            }
        }
        stage.finish();
    });
}

/// A relay with its two sides.
struct Stage {
    relay: Option<Pin<Box<Relay<End, End>>>>,
    woken: Arc<Woken>,
    group: Upstream,
    client: Wire,
    upstream: Wire,
    expected: Expected,
    is_cancelled: bool,
}

struct Woken(AtomicBool);

// ===== impl Stage =====

impl Stage {
    fn new(flags: u8) -> Self {
        let is = |bit: u8| flags & (1 << bit) != 0;
        let endpoint = EndpointSettings::new("http://127.0.0.1:9000").expect("it is an endpoint");
        let group = Upstream::builder("backend").endpoint(endpoint).build();
        let group = group.expect("it has an endpoint");
        let handshake = Handshake {
            headers: &HeaderMap::new(),
            path: "/",
            query: None,
            client: None,
            is_secure: true,
        };
        let lease = group.tries().next(&handshake).expect("there is room");
        let labels = Labels {
            client: "192.0.2.7:50000".into(),
            route: "/".into(),
            kind: Kind::Upgrade,
            lease,
            parent: None,
        };
        let (client, near) = wire::wire();
        let (upstream, far) = wire::wire();
        let mut expected = Expected::default();
        let mut relay = Relay::new(near, far, labels);
        if is(0) {
            relay = relay.with_client_writes_of(if is(1) { 3 } else { 16 * 1024 });
        }
        if is(2) {
            relay = relay.with_shared_upstream(if is(3) { 5 } else { 16 * 1024 });
        }
        if is(4) {
            let early = script::frame(Role::Server, 0x82, if is(5) { 300 } else { 3 });
            // Perhaps the beginning of one only.
            let early = &early[..early.len() - usize::from(is(6))];
            expected.say(Side::Upstream, early);
            expected.early = early.len();
            relay = relay.with_early_data(Bytes::copy_from_slice(early));
        }
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Self {
            relay: Some(Box::pin(relay)),
            woken,
            group,
            client,
            upstream,
            expected,
            is_cancelled: false,
        }
    }

    async fn play(&mut self, op: Op) {
        match op {
            Op::Says(side, chunks) => {
                // Nobody says more once he has said that there is no more.
                if !self.expected.has_ended(side) {
                    self.expected.say(side, &chunks.concat());
                    self.wire(side).sends(chunks);
                }
            }
            Op::Takes(side, bytes) => self.wire(side).takes(bytes),
            Op::HoldsFlush(side, holds) => self.wire(side).holds_flush(holds),
            Op::Ends(side) => {
                self.expected.end(side);
                self.wire(side).ends();
            }
            Op::Breaks(side) => {
                self.expected.breaks(side);
                self.wire(side).breaks();
            }
            Op::Deafens(side) => {
                self.expected.deafens(side);
                self.wire(side).deafens();
            }
            Op::Recalls => self.recall(),
            Op::Waits(ms) => {
                let time = Duration::from_millis(ms);
                self.expected.waited += time;
                tokio::time::advance(time).await;
            }
            Op::Wakes => self.woken.0.store(true, Ordering::Relaxed),
            Op::Cancels => {
                self.relay = None;
                self.is_cancelled = true;
            }
        }
        self.run();
    }

    /// Takes everything, then ends both sides: nothing may be left undone.
    fn finish(mut self) {
        for side in [Side::Client, Side::Upstream] {
            self.wire(side).takes(usize::MAX);
            self.wire(side).holds_flush(false);
        }
        self.run();
        let Self {
            relay,
            expected,
            client,
            upstream,
            ..
        } = &self;
        expected.hold(client, upstream);
        expected.hold_at_rest(client, upstream, relay.is_some());

        for side in [Side::Client, Side::Upstream] {
            self.expected.end(side);
            self.wire(side).ends();
        }
        self.run();
        assert!(
            self.relay.is_none(),
            "both sides have ended, and it goes on"
        );
        self.expected.hold(&self.client, &self.upstream);
        assert!(self.client.is_dropped() && self.upstream.is_dropped());
    }

    fn recall(&mut self) {
        if self.relay.is_none() {
            return;
        }
        self.expected.is_recalled = true;
        let endpoint = self.group.endpoints()[0].endpoint.clone();
        let closing = self.group.close_tunnels(&endpoint, Duration::ZERO);
        let mut closing = closing.expect("it is there");
        let mut cx = Context::from_waker(Waker::noop());
        let _ = Pin::new(&mut closing).poll(&mut cx);
    }

    /// Polls the relay for as long as it is woken.
    fn run(&mut self) {
        let mut polls = 0;
        while let Some(relay) = &mut self.relay
            && self.woken.0.swap(false, Ordering::Relaxed)
        {
            polls += 1;
            assert!(polls < 10_000, "it wakes itself for ever");
            let waker = Waker::from(Arc::clone(&self.woken));
            if let Poll::Ready(()) = relay.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.relay = None;
            }
        }
        self.expected.hold_bounded(&self.client, &self.upstream);
    }

    const fn wire(&self, side: Side) -> &Wire {
        match side {
            Side::Client => &self.client,
            Side::Upstream => &self.upstream,
        }
    }
}

// ===== impl Woken =====

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn what_fuzzing_came_upon() {
        wsgate_seeds::replay("relay", keep_the_promises);
    }

    #[test]
    fn any_operations() {
        let mut chance = StdRng::seed_from_u64(7);
        for _ in 0..300 {
            let mut bytes = vec![0; chance.random_range(1..160)];
            chance.fill(&mut bytes[..]);
            keep_the_promises(&bytes);
        }
    }
}
