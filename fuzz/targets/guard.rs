//! Two that talk through layers, with any pieces, delays and ends.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate_layer::fuzzing::guard(bytes));
