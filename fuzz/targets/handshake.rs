//! A request and its answer: what is sent on, and what the client gets.

#![no_main]

#[path = "../../crates/wsgate-layer/tests/laws/forwarded.rs"]
#[allow(dead_code, reason = "the other half of it is another target")]
mod forwarded;
#[path = "../../crates/wsgate-layer/tests/laws/handshake.rs"]
mod handshake;
#[path = "../../crates/wsgate-layer/tests/laws/head.rs"]
mod head;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| handshake::is_sent_on_clean(bytes));
