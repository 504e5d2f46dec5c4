//! Any bytes as a header: our parser against tungstenite's.

#![no_main]

#[path = "../../crates/wsgate-frame/tests/frame/laws/header.rs"]
mod header;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    header::agrees_with_tungstenite(bytes);
    header::consumes_nothing_until_whole(bytes);
});
