//! The drain with paused time: [`stream`] with a scripted client, [`service`] with a scripted
//! handshake, and here what they all add up to.

mod service;
mod stream;

use std::{io::Write, sync::Mutex};

use futures_util::task::noop_waker;
use tokio::{io::AsyncReadExt, time::sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tracing_subscriber::fmt::MakeWriter;
use wsgate_frame::Role;

use super::{policy::DrainPolicy, *};
use crate::{
    guard::{
        Guarded, Policy,
        tests::{Peer, Scripted, scripted, upgrade},
    },
    moment::Moment,
};

const DEADLINE: Duration = Duration::from_secs(30);

/// By then a lone WebSocket has been told. tokio's timers round up to whole milliseconds.
const TOLD: Duration = Duration::from_millis(12);

/// A WebSocket that is open, and its client.
fn open(drain: &Drain) -> (Guarded<Scripted, DrainPolicy>, Peer) {
    let (io, peer) = scripted();
    let live = drain.shared.enter().expect("it has not begun");
    let policy = DrainPolicy::new(live);
    (Guarded::new(io, Role::Client, policy, &upgrade()), peer)
}

/// A Close frame as a server sends it.
fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, 2 + reason.len() as u8];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.as_bytes());
    frame
}

fn going_away() -> Vec<u8> {
    close(1001, "server shutting down")
}

/// A Close frame with 1001 as a client sends it.
const ANSWER: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];

#[tokio::test(start_paused = true)]
async fn nothing_happens_before_it_is_polled() {
    let drain = Drain::new();
    let (_io, _peer) = open(&drain);
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert!(!drain.is_draining());
    assert_pending!(draining.poll());
    assert!(drain.is_draining());
}

#[tokio::test(start_paused = true)]
async fn with_nothing_open_it_is_over_at_once() {
    let drain = Drain::new();
    let mut draining = task::spawn(drain.within(DEADLINE));
    let drained = assert_ready!(draining.poll());
    assert_eq!((drained.closed, drained.cut, drained.left), (0, 0, 0));
    assert_eq!(drained.took, Duration::ZERO);
    assert!(drain.is_draining());
}

#[tokio::test(start_paused = true)]
async fn it_is_over_when_the_last_one_is() {
    let drain = Drain::new();
    let ((one, _), (two, _)) = (open(&drain), open(&drain));
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());
    drop(one);
    assert_pending!(draining.poll());
    drop(two);
    assert!(draining.is_woken());
    assert_eq!(assert_ready!(draining.poll()).closed, 2);
}

#[tokio::test(start_paused = true)]
async fn progress_counts_what_ended_since_it_began() {
    #[track_caller]
    fn check(drain: &Drain, closed: usize, total: usize) {
        let progress = drain.progress();
        assert_eq!((progress.closed, progress.total), (closed, total));
        assert_eq!(progress.live, total - closed);
        assert_eq!(drain.live(), progress.live);
    }
    let drain = Drain::new();
    check(&drain, 0, 0);
    let mut open: Vec<_> = (0..3).map(|_| open(&drain)).collect();
    check(&drain, 0, 3);
    open.pop();
    check(&drain, 0, 2);
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());
    check(&drain, 0, 2);
    open.pop();
    check(&drain, 1, 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_one_joins_the_first() {
    let drain = Drain::new();
    let (_io, _peer) = open(&drain);
    let mut first = task::spawn(drain.within(DEADLINE));
    assert_pending!(first.poll());
    let mut second = task::spawn(drain.clone().restart().within(Duration::from_secs(1)));
    assert_pending!(second.poll());
    let plan = drain.shared.plan().unwrap();
    assert_eq!(plan.ending().code, CloseCode::GOING_AWAY);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(assert_ready!(second.poll()).left, 1);
    assert_pending!(first.poll());
}

#[tokio::test(start_paused = true)]
async fn dropped_it_goes_on() {
    let drain = Drain::new();
    let (mut io, peer) = open(&drain);
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());
    drop(draining);
    assert!(drain.shared.enter().is_none());
    let handler = tokio::spawn(async move { io.read_u8().await });
    sleep(TOLD).await;
    assert_eq!(peer.got(), going_away());
    handler.abort();
}

#[tokio::test(start_paused = true)]
async fn closes_are_spread_evenly() {
    const TUNNELS: usize = 2_000;
    const BINS: usize = 10;
    let drain = Drain::new();
    let enter = || DrainPolicy::new(drain.shared.enter().unwrap());
    let mut policies: Vec<_> = (0..TUNNELS).map(|_| enter()).collect();
    let waker = noop_waker();
    let mut cx = std::task::Context::from_waker(&waker);
    // Half of them wait already, the others have not come to it.
    for policy in &mut policies[..TUNNELS / 2] {
        assert_pending!(policy.poll_signal(&mut cx));
        assert_eq!(policy.deadline(), None);
    }
    let start = Moment::now();
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());

    let mut histogram = [0; BINS];
    let window = Duration::from_secs(5);
    for policy in &mut policies {
        assert_ready!(policy.poll_signal(&mut cx));
        assert_pending!(policy.poll_signal(&mut cx));
        let after = policy.deadline().unwrap() - start;
        assert!(after < window, "{after:?}");
        histogram[(after.as_millis() * BINS as u128 / window.as_millis()) as usize] += 1;
    }
    // 200 in each, give or take six times the standard deviation.
    assert!(
        histogram.iter().all(|n| (120..=280).contains(n)),
        "{histogram:?}"
    );
}

#[test]
#[should_panic(expected = "1006 abnormal closure must not be sent")]
fn a_code_that_must_not_be_sent_is_refused_beforehand() {
    let _ = Drain::new().close_code(CloseCode::ABNORMAL_CLOSURE);
}

#[tokio::test(start_paused = true)]
async fn it_tells_each_second_how_far_it_has_come() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let drain = Drain::new();
    let mut open: Vec<_> = (0..3).map(|_| open(&drain)).collect();
    let draining = tokio::spawn(drain.within(DEADLINE));
    for millis in [500, 1_000, 800] {
        sleep(Duration::from_millis(millis)).await;
        open.pop();
    }
    draining.await.unwrap();

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "INFO draining live=3 spread=30ms deadline=30s",
            "INFO closed 1 of 3",
            "INFO closed 2 of 3",
            "INFO drained: closed 3 of 3 took=2.3s",
        ]
    );
}
