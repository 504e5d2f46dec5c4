//! Any text as a file of endpoints.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate_proxy::fuzzing::endpoints(bytes));
