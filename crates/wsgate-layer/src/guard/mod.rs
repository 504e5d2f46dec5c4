//! The stream of a layer: what it does is decided by a [`Policy`], how it is done is the same for all
//! of them and done here.
//!
//! ```text
//!            ┌──────────────────── Guarded<S, P> ─────────────────────┐
//!            │  Incoming   follows the frames, takes our pongs out     │ ──▶ poll_read
//!   peer ◀──▶│  P: Policy  told what passes, says: ping, end, pause    │     handler
//!    S       │  Outgoing   follows the frames, puts ours in between    │ ◀── poll_write
//!            └─────────────────────────────────────────────────────────┘
//! ```
//!
//! # Who may touch what
//!
//! A stream remembers one waker for each direction. The handler may read and write on different
//! tasks, so a write of ours, made while the handler waits for one of its own, would take its waker
//! away and stall it for good. Hence the rule: the reading side touches the write half only while
//! the handler [is not waiting](Outgoing::is_blocked) on it. A frame of ours that is due meanwhile
//! goes out from within the handler's own next write, which is cut at the frame boundary for it.
//!
//! # How a WebSocket is ended
//!
//! ```text
//!   Open ──▶ Closing ──▶ Telling ──▶ Over
//!     └──────────────────▲ a dead peer is cut at once
//! ```
//!
//! - **Closing**: the peer gets our Close at the next boundary, and what the handler writes from then
//!   on is thrown away. The handler goes on reading what the peer still sends, its answering Close
//!   last.
//! - **Telling**: where no Close came from the peer in time, the handler reads one of ours.
//! - **Over**: the handler reads the end of the stream.

mod clock;
mod held;
mod incoming;
mod io;
mod outgoing;
mod phase;
mod policies;
mod policy;
mod stream;

#[cfg(any(test, fuzzing))]
#[cfg_attr(
    fuzzing,
    allow(dead_code, unused_imports, reason = "a fuzz target needs a part of it")
)]
pub(crate) mod tests;

use std::time::Duration;

pub(crate) use self::{
    policies::Policies,
    policy::{Action, Ending, PeerEnds, Place, Policy, Wants},
    stream::Guarded,
};

/// How long a peer has to answer our Close. Well-behaved ones need one round trip.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// Makes a public stream of a [`Guarded`] in a tuple struct with one type parameter.
macro_rules! forward_io {
    ($Io:ident) => {
        impl<S> ::tokio::io::AsyncRead for $Io<S>
        where
            S: ::tokio::io::AsyncRead + ::tokio::io::AsyncWrite + Unpin,
        {
            fn poll_read(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
            }
        }

        impl<S> ::tokio::io::AsyncWrite for $Io<S>
        where
            S: ::tokio::io::AsyncRead + ::tokio::io::AsyncWrite + Unpin,
        {
            fn poll_write(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::std::pin::Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::std::pin::Pin::new(&mut self.get_mut().0).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                ::tokio::io::AsyncWrite::is_write_vectored(&self.0)
            }

            fn poll_flush(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.get_mut().0).poll_flush(cx)
            }

            fn poll_shutdown(
                self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
            }
        }

        impl<S> ::std::fmt::Debug for $Io<S> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.fmt_as(stringify!($Io), f)
            }
        }
    };
}

pub(crate) use forward_io;
