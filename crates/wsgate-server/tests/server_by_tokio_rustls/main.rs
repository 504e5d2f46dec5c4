//! The tests of `server` once more, over tokio-rustls instead of our own stream: what they show must
//! not depend on it.

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

#[path = "../server/certificates.rs"]
mod certificates;
#[path = "../server/client_certificates.rs"]
mod client_certificates;
#[path = "../server/development.rs"]
mod development;
#[path = "../server/drain.rs"]
mod drain;
#[path = "../server/greedy.rs"]
mod greedy;
#[path = "../server/limits.rs"]
mod limits;
#[path = "../server/peeled.rs"]
mod peeled;
#[path = "../server/plain_http.rs"]
mod plain_http;
#[path = "../server/protocols.rs"]
mod protocols;
#[path = "../server/proxy_protocol.rs"]
mod proxy_protocol;
#[path = "../server/reload.rs"]
mod reload;
#[path = "../server/resumption.rs"]
mod resumption;
#[path = "../server/shutdown.rs"]
mod shutdown;
#[path = "../server/slow.rs"]
mod slow;
#[path = "../server/start.rs"]
mod start;
#[path = "../server/support.rs"]
mod support;
#[path = "../server/tunnels.rs"]
mod tunnels;
