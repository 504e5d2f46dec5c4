//! Any operations on a relay.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate_proxy::fuzzing::relay(bytes));
