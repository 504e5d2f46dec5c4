//! Any bytes as the beginning of a connection behind a balancer: the PROXY protocol against its model.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wsgate_server::fuzzing::proxy_header(bytes));
