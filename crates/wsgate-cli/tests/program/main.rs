//! The program from outside: real handshakes through it, what it says, and how it ends.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests; the helpers of an integration test are not seen as such"
)]

mod certificates;
mod development;
mod ending;
mod errors;
mod full_disk;
mod groups;
mod log;
mod process;
mod reload;
mod routes;
mod slow;
mod support;
mod tunnels;
mod upstreams;
mod workers;
