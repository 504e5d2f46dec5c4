//! What one WebSocket goes through.

use tokio::{
    io::{AsyncWriteExt, ReadHalf, WriteHalf, split},
    task::JoinHandle,
    time::Instant,
};
use wsgate_frame::Tracker;

use super::*;

/// "hello" and "world" as a server sends them.
const HELLO: &[u8] = b"\x81\x05hello";
const WORLD: &[u8] = b"\x81\x05world";

/// A WebSocket whose handler reads on one task and writes where the test does. The task gives what
/// it has read to the end.
struct Served {
    peer: Peer,
    write: WriteHalf<Guarded<Scripted, DrainPolicy>>,
    read: JoinHandle<Vec<u8>>,
}

fn serve(drain: &Drain) -> Served {
    let (io, peer) = open(drain);
    let (read, write) = split(io);
    let read = tokio::spawn(read_to_end(read));
    Served { peer, write, read }
}

async fn read_to_end(mut read: ReadHalf<Guarded<Scripted, DrainPolicy>>) -> Vec<u8> {
    let mut all = Vec::new();
    read.read_to_end(&mut all).await.unwrap();
    all
}

/// Begins a drain and waits until all have been told who can be.
async fn begin(drain: &Drain) -> JoinHandle<Drained> {
    let draining = tokio::spawn(drain.within(DEADLINE));
    sleep(Duration::from_secs(1)).await;
    draining
}

#[tokio::test(start_paused = true)]
async fn the_client_is_told_and_its_answer_reaches_the_handler() {
    let drain = Drain::new();
    let Served { peer, write, read } = serve(&drain);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.got(), b"", "too early");

    let draining = tokio::spawn(drain.within(DEADLINE));
    sleep(TOLD).await;
    assert_eq!(peer.got(), going_away());
    assert!(peer.is_flushed());

    // What crosses the Close is still the handler's.
    let crossing = b"\x81\x80\0\0\0\0";
    peer.sends(crossing);
    peer.sends(ANSWER);
    assert_eq!(read.await.unwrap(), [crossing, ANSWER].concat());
    drop(write);
    let drained = draining.await.unwrap();
    assert_eq!((drained.closed, drained.cut, drained.left), (1, 0, 0));
    assert!(drained.took < Duration::from_secs(1), "{:?}", drained.took);
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_called_one() {
    let drain = Drain::new();
    let served = serve(&drain);
    let _draining = begin(&drain.restart()).await;
    assert_eq!(served.peer.got(), close(1012, "service restart"));
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_half_written_is_finished_first() {
    let drain = Drain::new();
    let mut served = serve(&drain);
    served.write.write_all(&HELLO[..3]).await.unwrap();
    let _draining = begin(&drain).await;
    assert_eq!(served.peer.got(), HELLO[..3]);

    let rest = [&HELLO[3..], WORLD].concat();
    served.write.write_all(&rest).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(served.peer.got(), [&HELLO[3..], &going_away()].concat());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_waits_to_write_is_not_disturbed() {
    let drain = Drain::new();
    let Served { peer, write, read } = serve(&drain);
    peer.takes(3);
    let mut write = write;
    let writes = tokio::spawn(async move {
        write.write_all(HELLO).await.unwrap();
        write.write_all(WORLD).await.unwrap();
        write
    });
    let _draining = begin(&drain).await;
    assert_eq!(peer.got(), HELLO[..3]);
    assert!(!writes.is_finished());

    peer.takes_all();
    let _write = writes.await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.got(), [&HELLO[3..], &going_away()].concat());
    assert!(!peer.was_stolen_from());
    read.abort();
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_writes_afterwards_is_thrown_away() {
    let drain = Drain::new();
    let mut served = serve(&drain);
    let draining = begin(&drain).await;
    assert_eq!(served.peer.got(), going_away());
    for _ in 0..3 {
        served.write.write_all(HELLO).await.unwrap();
        served.write.flush().await.unwrap();
    }
    served.peer.sends(ANSWER);
    assert_eq!(served.read.await.unwrap(), ANSWER);
    assert_eq!(served.peer.got(), b"");
    drop(served.write);
    assert_eq!(draining.await.unwrap().closed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_is_cut_at_the_deadline() {
    let drain = Drain::new();
    let Served { peer, write, read } = serve(&drain);
    let start = Instant::now();
    let draining = begin(&drain).await;
    drop(write);

    let told = read.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), DEADLINE.as_secs());
    assert!(peer.is_cut());
    let mut tracker = Tracker::new(Role::Client);
    tracker.feed(&told, |_| {});
    let code = tracker.close().expect("the handler is told too").code();
    assert_eq!(code, Some(CloseCode::GOING_AWAY));

    let drained = draining.await.unwrap();
    assert_eq!((drained.closed, drained.cut, drained.left), (0, 1, 0));
    assert_eq!(drained.took.as_secs(), DEADLINE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_is_left() {
    let drain = Drain::new();
    let (_io, peer) = open(&drain);
    let drained = begin(&drain).await.await.unwrap();
    assert_eq!((drained.closed, drained.cut, drained.left), (0, 0, 1));
    assert_eq!(drained.took, DEADLINE + Duration::from_millis(250));
    assert_eq!(peer.got(), b"");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_stops_sending_is_told() {
    let drain = Drain::new();
    let (mut io, peer) = open(&drain);
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());
    tokio::time::advance(TOLD).await;
    for _ in 0..4 {
        peer.sends(b"\x81\x80\0\0\0\0");
    }
    let mut buf = [0; 6];
    for _ in 0..3 {
        io.read_exact(&mut buf).await.unwrap();
    }
    assert_eq!(peer.got(), going_away());
}

/// A relay whose other side is slow goes on asking, with no room for an answer.
#[tokio::test(start_paused = true)]
async fn a_handler_without_room_to_read_is_not_waited_for() {
    let drain = Drain::new();
    let (mut io, peer) = open(&drain);
    peer.sends(HELLO);
    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());
    tokio::time::advance(TOLD).await;
    assert_eq!(io.read(&mut []).await.unwrap(), 0);
    assert_eq!(peer.got(), going_away());
}

/// A stream that moves to another task is woken there.
#[tokio::test(start_paused = true)]
async fn the_task_that_read_last_is_woken() {
    let drain = Drain::new();
    let (mut io, _peer) = open(&drain);
    let mut byte = [0];
    let mut before = task::spawn(io.read(&mut byte));
    for _ in 0..3 {
        assert_pending!(before.poll());
    }
    drop(before);
    let mut now = task::spawn(io.read(&mut byte));
    assert_pending!(now.poll());
    assert!(!now.is_woken());

    let mut draining = task::spawn(drain.within(DEADLINE));
    assert_pending!(draining.poll());
    assert!(now.is_woken());
}
