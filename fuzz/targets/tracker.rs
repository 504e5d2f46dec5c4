//! Any bytes as a stream: the tracker against the model, however it is cut.

#![no_main]

#[path = "../../crates/wsgate-frame/tests/frame/laws/model.rs"]
mod model;
#[path = "../../crates/wsgate-frame/tests/frame/laws/tracker.rs"]
mod tracker;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracker::holds_for(bytes));
