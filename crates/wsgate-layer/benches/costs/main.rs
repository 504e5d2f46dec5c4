//! What the layers cost: `cargo xtask bench -p wsgate-layer`. The memory they hold is the subject of
//! `tests/idle.rs`.
//!
//! The difference to `Bare` is the cost of a layer. The WebSockets are in memory, and their clients
//! do next to nothing.

mod handshake;
mod message;
mod support;

use divan::AllocProfiler;

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    support::log();
    divan::main();
}
