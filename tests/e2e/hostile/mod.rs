//! Peers that mean harm, or behave as if they did.

mod frames;
mod handshake;
mod http2;
mod resources;
mod secrets;
mod slow;
mod tls;
