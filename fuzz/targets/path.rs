//! A prefix, what takes its place, and a path.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate_proxy::fuzzing::path(bytes));
