//! What it costs to follow frames: `cargo xtask bench -p wsgate-frame`.
//!
//! Each stream is about 256 KiB, fed in chunks of 64 KiB, as a relay does; it stays in the cache,
//! as bytes do that were read a moment ago. The items are frames: 200 Mitem/s is 5 ns a frame.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use wsgate_bench::bench;
use wsgate_frame::{Close, CloseCode, ControlFrame, Event, Header, OpCode, Role, Rsv, Tracker};

fn main() {
    divan::main();
}

/// Following whole messages, when only the state and the counts matter.
#[divan::bench(args = PAYLOADS)]
fn track_from_client(bencher: Bencher<'_, '_>, payload: usize) {
    track(bencher, Role::Client, payload, |_| {});
}

/// The same from the other end: no masks.
#[divan::bench(args = PAYLOADS)]
fn track_from_server(bencher: Bencher<'_, '_>, payload: usize) {
    track(bencher, Role::Server, payload, |_| {});
}

/// With a consumer that looks at every header, as a limit on message sizes does.
#[divan::bench(args = PAYLOADS)]
fn track_and_look_at_headers(bencher: Bencher<'_, '_>, payload: usize) {
    let mut longest = 0;
    track(bencher, Role::Client, payload, |event| {
        if let Event::FrameBegin { header, .. } = event {
            longest = longest.max(header.len);
        }
    });
    black_box(longest);
}

/// From the header of a Close to its code and reason.
#[divan::bench]
fn track_close(bencher: Bencher<'_, '_>) {
    let mask = Some([1, 2, 3, 4]);
    let close = ControlFrame::close(CloseCode::GOING_AWAY, "shutting down", mask);
    let close = close.expect("a code that may be sent");
    bench(bencher, || {
        let mut tracker = Tracker::new(Role::Client);
        let mut code = None;
        tracker.feed(black_box(&close), |event| {
            if let Event::Control { payload, .. } = event {
                code = Close::parse(payload).and_then(|close| close.code());
            }
        });
        (tracker.is_closed(), code)
    });
}

#[divan::bench(args = PAYLOADS)]
fn parse_header(bencher: Bencher<'_, '_>, payload: usize) {
    let (stream, _) = stream(Role::Client, payload);
    bench(bencher, || Header::parse(black_box(&stream)));
}

#[divan::bench(args = PAYLOADS)]
fn write_header(bencher: Bencher<'_, '_>, payload: usize) {
    let header = header(Role::Client, payload);
    let mut buf = [0; Header::MAX_SIZE];
    bench(bencher, || {
        let written = black_box(&header).write(black_box(&mut buf));
        written.map(<[u8]>::len)
    });
}

#[divan::bench]
fn build_ping(bencher: Bencher<'_, '_>) {
    let payload = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
    bench(bencher, || {
        ControlFrame::ping(black_box(&payload), black_box(Some([1, 2, 3, 4])))
    });
}

#[divan::bench]
fn build_close(bencher: Bencher<'_, '_>) {
    bench(bencher, || {
        ControlFrame::close(CloseCode::GOING_AWAY, black_box("shutting down"), None)
    });
}

fn track(
    bencher: Bencher<'_, '_>,
    role: Role,
    payload: usize,
    mut on_event: impl FnMut(Event<'_>),
) {
    let (stream, frames) = stream(role, payload);
    let bencher = bencher
        .counter(BytesCount::of_slice(&stream))
        .counter(ItemsCount::new(frames));
    bench(bencher, || {
        let mut tracker = Tracker::new(role);
        for chunk in black_box(&stream).chunks(CHUNK) {
            tracker.feed(chunk, &mut on_event);
        }
        tracker.counts()
    });
}

/// As many binary messages of `payload` bytes as make up about 256 KiB, and how many they are.
fn stream(role: Role, payload: usize) -> (Vec<u8>, usize) {
    let mut buf = [0; Header::MAX_SIZE];
    let mut frame = header(role, payload)
        .write(&mut buf)
        .expect("a length of a few bits")
        .to_vec();
    frame.resize(frame.len() + payload, 0x55);
    let frames = (256 << 10) / frame.len();
    (frame.repeat(frames), frames)
}

fn header(role: Role, payload: usize) -> Header {
    Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: OpCode::Binary,
        mask: role.masks().then_some([1, 2, 3, 4]),
        len: payload as u64,
    }
}

/// Payload sizes in bytes.
const PAYLOADS: [usize; 5] = [16, 64, 1024, 16 * 1024, 64 * 1024];
/// What a relay reads at once, in bytes.
const CHUNK: usize = 64 * 1024;
