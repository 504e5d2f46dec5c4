//! `TlsStream` beside tokio-rustls: every scenario runs over both, and has to come out the same
//! unless it says otherwise.

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod any_cut;
mod client;
mod ends;
mod floods;
mod handshakes;
mod keys;
mod openssl;
mod reads;
mod support;
mod wire;
mod writes;
