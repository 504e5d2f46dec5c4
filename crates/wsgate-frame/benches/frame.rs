//! What it costs to follow frames: `cargo bench -p wsgate-frame`.
//!
//! Each stream is about 256 KiB, fed in chunks of 64 KiB, as a relay does; it stays in the cache,
//! as bytes do that were read a moment ago. The items are frames: 200 Mitem/s is 5 ns a frame.

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use wsgate_frame::{CloseCode, ControlFrame, Event, Header, OpCode, Role, Rsv, Tracker};

fn main() {
    divan::main();
}

/// Following whole messages, when only the state and the counts matter.
#[divan::bench(args = PAYLOADS)]
fn track_from_client(bencher: Bencher<'_, '_>, payload: usize) {
    let (stream, frames) = stream(Role::Client, payload);
    bencher
        .counter(BytesCount::of_slice(&stream))
        .counter(ItemsCount::new(frames))
        .bench(|| {
            let mut tracker = Tracker::new(Role::Client);
            for chunk in black_box(&stream).chunks(CHUNK) {
                tracker.feed(chunk, |_| {});
            }
            tracker.counts()
        });
}

/// The same from the other end: no masks.
#[divan::bench(args = PAYLOADS)]
fn track_from_server(bencher: Bencher<'_, '_>, payload: usize) {
    let (stream, frames) = stream(Role::Server, payload);
    bencher
        .counter(BytesCount::of_slice(&stream))
        .counter(ItemsCount::new(frames))
        .bench(|| {
            let mut tracker = Tracker::new(Role::Server);
            for chunk in black_box(&stream).chunks(CHUNK) {
                tracker.feed(chunk, |_| {});
            }
            tracker.counts()
        });
}

/// With a consumer that looks at every header, as a limit on message sizes does.
#[divan::bench(args = PAYLOADS)]
fn track_and_look_at_headers(bencher: Bencher<'_, '_>, payload: usize) {
    let (stream, frames) = stream(Role::Client, payload);
    bencher
        .counter(BytesCount::of_slice(&stream))
        .counter(ItemsCount::new(frames))
        .bench(|| {
            let mut tracker = Tracker::new(Role::Client);
            let mut longest = 0;
            for chunk in black_box(&stream).chunks(CHUNK) {
                tracker.feed(chunk, |event| {
                    if let Event::FrameBegin { header, .. } = event {
                        longest = longest.max(header.len);
                    }
                });
            }
            longest
        });
}

#[divan::bench(args = PAYLOADS)]
fn parse_header(bencher: Bencher<'_, '_>, payload: usize) {
    let (stream, _) = stream(Role::Client, payload);
    bencher.bench(|| Header::parse(black_box(&stream)));
}

#[divan::bench]
fn build_ping(bencher: Bencher<'_, '_>) {
    let payload = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
    bencher.bench(|| ControlFrame::ping(black_box(&payload), black_box(Some([1, 2, 3, 4]))));
}

#[divan::bench]
fn build_close(bencher: Bencher<'_, '_>) {
    bencher.bench(|| ControlFrame::close(CloseCode::GOING_AWAY, black_box("shutting down"), None));
}

/// As many binary messages of `payload` bytes as make up about 256 KiB, and how many they are.
fn stream(role: Role, payload: usize) -> (Vec<u8>, usize) {
    let header = Header {
        fin: true,
        rsv: Rsv::NONE,
        opcode: OpCode::Binary,
        mask: role.masks().then_some([1, 2, 3, 4]),
        len: payload as u64,
    };
    let mut buf = [0; Header::MAX_SIZE];
    let mut frame = header
        .write(&mut buf)
        .expect("a length of a few bits")
        .to_vec();
    frame.resize(frame.len() + payload, 0x55);
    let frames = (256 << 10) / frame.len();
    (frame.repeat(frames), frames)
}

/// Payload sizes in bytes.
const PAYLOADS: [usize; 4] = [16, 64, 1024, 64 * 1024];
/// What a relay reads at once, in bytes.
const CHUNK: usize = 64 * 1024;
