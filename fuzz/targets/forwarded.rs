//! A request: who sent it.

#![no_main]

#[path = "../../crates/wsgate-layer/tests/laws/forwarded.rs"]
#[allow(dead_code, reason = "the other half of it is another target")]
mod forwarded;
#[path = "../../crates/wsgate-layer/tests/laws/head.rs"]
#[allow(dead_code, reason = "the same")]
mod head;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| forwarded::says_who_came(bytes));
