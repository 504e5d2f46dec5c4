//! Making `OnUpgrade`s outside hyper, so that a layer can stand between a connection and any
//! handler.
//!
//! A handler that accepts a WebSocket takes [`OnUpgrade`] out of its request's extensions and
//! awaits it for the stream. hyper gives no public constructor for one. [`pair`] makes a genuine
//! one all the same, with its sending half; [`intercept`] uses it to put a stream of ours in
//! place of the connection's, which is what every layer of this crate does:
//!
//! ```text
//!   connection ──OnUpgrade──▶ intercept ──minted OnUpgrade──▶ handler
//!                                │
//!        after the 101:   outer.await ─▶ wrap(stream) ─▶ UpgradeSender::send
//! ```
//!
//! HTTP/1.1 Upgrade and HTTP/2 extended CONNECT share this one path. A request that is no
//! WebSocket handshake is never touched.
//!
//! # Example
//!
//! A pair is also the mock upgrade that unit tests of handlers lack:
//!
//! ```
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use hyper_util::rt::TokioIo;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use wsgate_layer::upgrade;
//!
//! let (near, mut far) = tokio::io::duplex(64);
//! let (sender, on_upgrade) = upgrade::pair();
//! sender.send(near)?;
//!
//! // What a handler does with the request's `OnUpgrade`:
//! let mut stream = TokioIo::new(on_upgrade.await?);
//! stream.write_all(b"hello").await?;
//!
//! let mut hello = [0; 5];
//! far.read_exact(&mut hello).await?;
//! assert_eq!(&hello, b"hello");
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(example()).unwrap();
//! ```

mod bridge;
mod connection;
mod intercept;
mod pair;

#[cfg(test)]
mod tests;

use hyper_util::rt::TokioIo;

pub use self::{
    bridge::Bridge,
    connection::ConnectionIo,
    intercept::{Intercepted, intercept},
    pair::{SendError, UpgradeSender, pair},
};
pub use hyper::upgrade::{OnUpgrade, Upgraded};

/// The stream of an upgraded connection, with tokio's `AsyncRead` and `AsyncWrite`.
pub type UpgradedIo = TokioIo<Upgraded>;
