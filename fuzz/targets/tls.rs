//! A TLS stream against that of tokio-rustls, over connections that move as they like.

#![no_main]
#![allow(dead_code, reason = "other tests need more of what they share")]

#[path = "../../crates/wsgate-tls/tests/stream/any_cut.rs"]
mod any_cut;
#[path = "../../crates/wsgate-tls/tests/stream/support.rs"]
mod support;
#[path = "../../crates/wsgate-tls/tests/stream/wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| any_cut::hold_for(bytes));
