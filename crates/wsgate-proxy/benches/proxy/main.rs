//! What a proxied WebSocket costs, apart from TLS: `cargo xtask bench -p wsgate-proxy`.
//!
//! ```text
//! client ── in memory ──▶ WebSocketProxy ── TCP, loopback ──▶ upstream
//! ```
//!
//! All of it runs on one thread, by the public interface alone: what stands between the two
//! connections may become something else, and is compared with what it was. The client and the
//! upstream do as little as they can, and are part of every figure.

mod choose;
mod handshake;
mod relay;
mod support;

fn main() {
    support::log();
    divan::main();
}
