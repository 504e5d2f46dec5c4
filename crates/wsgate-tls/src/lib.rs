//! A TLS stream that keeps no buffers while it is idle.
//!
//! ```text
//!   socket ──► scratch of the thread ──► rustls ──► the reader's buffer
//!                  └─ part of a record              └─ what has no room
//!                     is kept                          is kept
//!
//!   socket ◄── scratch of the thread ◄── rustls ◄── what the writer has
//!      └─ what has no room is kept
//! ```
//!
//! Most WebSockets are idle most of the time, and there are many of them. So what a connection needs
//! only while bytes move belongs to the thread, and a connection that has nothing in hand holds
//! nothing but rustls' own state, which has no buffers either: it is driven by
//! [`rustls::unbuffered`]. All cryptography, and the protocol itself, is rustls'.
//!
//! [`TlsStream`] is one end of a connection, over any stream of tokio's. A server's:
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpListener;
//! use wsgate_tls::TlsStream;
//! use wsgate_tls::rustls::ServerConfig;
//!
//! # async fn run(config: Arc<ServerConfig>) -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:8443").await?;
//! let (socket, _) = listener.accept().await?;
//! socket.set_nodelay(true)?;
//! let mut stream = TlsStream::accept(socket, config).await?;
//!
//! let mut buffer = [0; 1024];
//! let count = stream.read(&mut buffer).await?;
//! stream.write_all(&buffer[..count]).await?;
//! stream.shutdown().await
//! # }
//! ```
//!
//! A client's is made by [`TlsStream::connect`].
//!
//! # What it costs
//!
//! | an idle TLS 1.3 connection, x86-64 | this crate | tokio-rustls |
//! |---|---|---|
//! | rustls' state and what that has on the heap | 2249 bytes | 2249 bytes |
//! | what else is on the heap | | 4096 bytes |
//! | in the stream, beside the socket | 64 bytes | 96 bytes |
//!
//! Keys are not among them: aws-lc has a heap of its own, for both. The test `idle` holds the figures.
//! A thread has one scratch of 97 KiB, from its first connection on.
//!
//! While bytes move, one read of the socket takes up to 48 KiB, and one write sends as much, in three
//! records. What is written is copied once more than tokio-rustls copies it, which is the price of the
//! unbuffered API; what is read is copied as often.
//!
//! # Somebody who watches
//!
//! [`Watched`] is put round a stream, this crate's or another, by a server that ends what takes too
//! long. It stands here because both know this crate: the server, and who takes the stream out of an
//! upgraded connection.
//!
//! # What it is not
//!
//! It knows nothing of HTTP and of listeners, and makes no configuration: certificates, versions,
//! cipher suites and tickets are for [`ServerConfig`](rustls::ServerConfig) and
//! [`ClientConfig`](rustls::ClientConfig). There is no early data (0-RTT).

mod connection;
mod held;
mod permissions;
mod scratch;
mod session;
mod stream;
#[cfg(test)]
mod tests;
mod watched;

/// The version whose configurations a stream takes.
pub use rustls;

pub use self::permissions::{LoosePermissions, loose_permissions};
pub use self::stream::TlsStream;
pub use self::watched::{Watch, Watched};
