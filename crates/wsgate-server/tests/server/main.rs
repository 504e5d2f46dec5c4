//! The server over real sockets and real TLS, on loopback.

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod certificates;
mod client_certificates;
mod development;
mod drain;
mod limits;
mod peeled;
mod plain_http;
mod protocols;
mod shutdown;
mod start;
mod support;
mod tunnels;
