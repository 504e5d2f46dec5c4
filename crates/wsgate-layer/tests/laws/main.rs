//! The laws of handshakes, checked with examples and (the same functions, see `fuzz/`) with whatever a
//! fuzzer comes up with.

mod forwarded;
mod handshake;
mod head;
mod origin;

use wsgate_seeds::replay;

#[test]
fn handshakes() {
    replay("handshake", handshake::is_sent_on_clean);
}

#[test]
fn forwarded_fields() {
    replay("forwarded", forwarded::says_who_came);
}

#[test]
fn origins() {
    replay("origin", origin::passes_who_may);
}
