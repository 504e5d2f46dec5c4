//! The harness itself: clients and upstreams of all kinds, with nothing in between. What fails here
//! is no fault of the gateway.

mod clients;
mod http2;
mod others;
mod trace;
mod upstreams;
