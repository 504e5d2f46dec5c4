//! The program as a whole: generator and upstream as processes, with nothing or a simple proxy between them.

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

mod scenarios;
mod support;
mod tls;
