//! An allowed origin, the origin of a page, and a host.

#![no_main]

#[path = "../../crates/wsgate-layer/tests/laws/origin.rs"]
mod origin;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| origin::passes_who_may(bytes));
