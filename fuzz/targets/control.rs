//! Any bytes as payload, code and mask: control frames give back what was put into them.

#![no_main]

#[path = "../../crates/wsgate-frame/tests/frame/laws/control.rs"]
mod control;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| control::gives_back_what_was_put_in(bytes));
