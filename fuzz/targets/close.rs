//! Any bytes as the payload of a Close.

#![no_main]

#[path = "../../crates/wsgate-frame/tests/frame/laws/close.rs"]
mod close;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| close::is_as_it_is_read(bytes));
