//! The server over real sockets and real TLS, on loopback.

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod certificates;
mod client_certificates;
mod development;
mod drain;
mod greedy;
mod limits;
mod peeled;
mod plain_http;
mod protocols;
mod proxy_protocol;
mod reload;
mod resumption;
mod shutdown;
mod slow;
mod start;
mod support;
mod tunnels;
