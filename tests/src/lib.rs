//! The harness of the end-to-end tests.
//!
//! A test reads as a story: start an upstream, start what stands before it, connect a client, look
//! at what each side saw, join the servers. Everything here speaks over real sockets; what stands in
//! the middle is not this crate's business, so the same story runs with nginx, with the proxy, or
//! with nothing in between.
//!
//! ```no_run
//! # async fn story() {
//! use wsgate::WebSocketProxy;
//! use wsgate_tests::client::Handshake;
//! use wsgate_tests::gateway::Gateway;
//! use wsgate_tests::upstream::{Upstream, script};
//! use wsgate_tests::{Frame, trace};
//!
//! let _trace = trace::init();
//! let upstream = Upstream::tcp(script::echo()).await;
//! let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
//! let gateway = Gateway::proxying(proxy).await;
//!
//! let mut client = gateway.target().tunnel(Handshake::of("/websocket")).await;
//! client.send(Frame::text("hello")).await;
//! assert_eq!(client.frame().await, Frame::text("hello"));
//! client.close(1000, "bye").await;
//!
//! let seen = upstream.join_one().await;
//! assert_eq!(seen.request().target, "/websocket");
//! assert_eq!(seen.close, Some((1000, "bye".to_owned())));
//! gateway.join().await;
//! # }
//! ```
//!
//! | module | what it starts or holds |
//! |---|---|
//! | [`upstream`] | servers behind the gateway: an honest echo, and scripts that misbehave |
//! | [`gateway`] | wsgate itself, as an application starts it |
//! | [`stage`] | upstream, gateway and client, both ends of each tunnel in the test's hands |
//! | [`site`] | an HTTPS server for any axum router, HTTP/1.1 and HTTP/2 |
//! | [`nginx`] | the real nginx, for comparison |
//! | [`client`] | frame-level clients over HTTP/1.1 and HTTP/2, and tokio-tungstenite |
//! | [`peers`] | Node's `ws` and Python's `websockets`, either side |
//! | [`browser`] | headless Chromium |
//! | [`wsgate`](mod@wsgate) | the program of that name, with limits of its own |
//! | [`program`] | any other program, our own too |
//! | [`bulk`] | messages too long to be held |
//! | [`alone`] | a process for one test, and the memory it takes |
//! | [`certs`] | a CA for all of them |
//! | [`tasks`] | what runs in the process of a test, and whether anything is left of it |
//! | [`trace`] | the log of a test, and the events in it |
//!
//! A harness has no caller to return an error to: its functions panic, saying what they waited for.
//! A program that is not installed is such a panic too; no test passes by leaving something out.

pub mod alone;
pub mod browser;
pub mod bulk;
pub mod certs;
pub mod client;
pub mod dns;
pub mod gateway;
pub mod haproxy;
pub mod nginx;
pub mod peers;
pub mod program;
pub mod scan;
pub mod site;
pub mod stage;
pub mod tasks;
pub mod trace;
pub mod upstream;
pub mod wsgate;

mod frame;
mod head;
mod io;
mod tunnel;

pub use frame::Frame;
pub use head::{Fields, RequestHead, ResponseHead};
pub use io::{Io, fixed_port, within};
pub use tunnel::{End, Role, Tunnel};

#[cfg(doctest)]
#[doc = include_str!("../../docs/nginx.md")]
mod from_nginx {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/layers.md")]
mod layers {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/discovery.md")]
mod discovery {}
