use tokio::io::{AsyncRead, AsyncWrite};

use crate::{handshake::Kind, tunnel::Tunnel, upgrade::UpgradedIo};

/// Puts a stream of one's own round an upgraded one.
///
/// Closures that take the stream and return another implement it; a type does that wants to know
/// more of the [`Upgrade`].
pub trait Wrap: Send + 'static {
    /// What the handler gets.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Wraps the stream of one WebSocket.
    fn wrap(self, stream: UpgradedIo, upgrade: Upgrade) -> Self::Io;
}

/// What is known of a WebSocket when it opens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Upgrade {
    /// What its layers share.
    pub tunnel: Tunnel,
    /// By which kind of handshake it was opened.
    pub kind: Kind,
}

// ===== impl Wrap =====

impl<F, T> Wrap for F
where
    F: FnOnce(UpgradedIo) -> T + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Io = T;

    fn wrap(self, stream: UpgradedIo, _: Upgrade) -> T {
        self(stream)
    }
}

// ===== impl Upgrade =====

impl Upgrade {
    /// For a stream that is wrapped by hand. One that nobody else knows of has
    /// [`Tunnel::default()`](Tunnel).
    #[must_use]
    pub const fn new(tunnel: Tunnel, kind: Kind) -> Self {
        Self { tunnel, kind }
    }
}
