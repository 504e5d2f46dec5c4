//! The end-to-end tests, a module a subject.
//!
//! `cargo xtask test` installs the programs they run and runs them;
//! `cargo test -p wsgate-tests --test e2e <words of a name>` runs some of them.

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod back_pressure;
mod chat;
mod close_codes;
mod discovery;
mod early_data;
mod examples;
mod failing_upstreams;
mod h2;
mod harness;
mod headers;
mod hostile;
mod http2_upstream;
mod layers;
mod nginx;
mod peers;
mod proxy_protocol;
mod recall;
mod refusals;
mod tls;
mod transparency;
mod upgrade;
mod upstreams;
