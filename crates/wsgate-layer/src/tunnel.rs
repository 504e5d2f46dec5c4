//! What all that stand in one WebSocket's stream have to tell each other.
//!
//! Layers know nothing of each other, and the handler knows nothing of them. Yet who logs the end of
//! a WebSocket wants to know that the read timeout ended it, and an observer wants the round-trip
//! times that the keepalive measures. [`Tunnel`] is the one thing that they share: whoever asks first
//! puts it into the request's extensions, and the others find it there.
//!
//! # Example
//!
//! ```
//! use http::Request;
//! use wsgate_layer::tunnel::Tunnel;
//!
//! let mut req = Request::new(());
//! let tunnel = Tunnel::of(req.extensions_mut());
//! tunnel.set_upstream("backend");
//!
//! assert_eq!(Tunnel::of(req.extensions_mut()).upstream(), Some("backend"));
//! assert!(tunnel.end().is_none(), "no layer has ended it");
//! ```

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Extensions;
use wsgate_frame::{CloseCode, Role, Violation};

/// One WebSocket, from its handshake on. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tunnel {
    shared: Arc<Shared>,
}

/// How a layer ended a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// Why.
    pub cause: Cause,
    /// What the peers were told, where one could still be told.
    pub code: CloseCode,
    /// On whose side the layer stands: which peer gave no sign of life, say. With a
    /// [`Cause::ProtocolError`] it is the one that broke the rule, whoever that was.
    pub peer: Role,
}

/// Why a layer ends a WebSocket. `Display` is the word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A peer gave no sign of life after a ping.
    PongTimeout,
    /// A peer sent nothing for too long.
    ReadTimeout,
    /// Neither side sent a message for too long.
    IdleTimeout,
    /// It has lived as long as it may.
    Lifetime,
    /// The client did not finish a frame that it had begun.
    FrameTimeout,
    /// The client did not finish a message that it had begun.
    MessageTimeout,
    /// It did not end in time after a Close.
    CloseTimeout,
    /// The server is being drained.
    Drain,
    /// The client went beyond a limit.
    Limit(Limit),
    /// One of the two broke a rule of the protocol, and a layer is [strict](crate::strict). `Display`
    /// leaves out which rule, as the cause is a label of metrics.
    ProtocolError(Violation),
}

/// What may be limited. `Display` is the word for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Live tunnels in all.
    Tunnels,
    /// Live tunnels of one client.
    TunnelsPerClient,
    /// Handshakes that wait for their answer, in all.
    PendingHandshakes,
    /// Handshakes per second of one client.
    HandshakeRate,
    /// The size of a frame.
    FrameSize,
    /// The size of a message.
    MessageSize,
    /// Messages per second of one tunnel.
    MessageRate,
    /// Frames per second of one tunnel.
    FrameRate,
    /// Bytes per second of one tunnel.
    ByteRate,
}

/// Who is told what happens within a tunnel. It is held by the tunnel, and so must not hold it.
pub(crate) trait Watch: Send + Sync + 'static {
    /// A peer has answered a ping.
    fn ping(&self, tunnel: &Tunnel, peer: Role, round_trip: Duration);
    /// A limit was reached, whatever came of it.
    fn limit(&self, tunnel: &Tunnel, limit: Limit);
}

#[derive(Default)]
struct Shared {
    end: OnceLock<End>,
    over: AtomicBool,
    told: AtomicBool,
    /// Whether it was said of the client, and of the server, that nobody knows any more where its frames
    /// begin.
    lost: [AtomicBool; 2],
    upstream: OnceLock<Arc<str>>,
    /// Set while the handshake passes the layers, read from then on.
    watcher: Mutex<Option<Arc<dyn Watch>>>,
}

/// Tells the first before the second.
struct Both(Arc<dyn Watch>, Arc<dyn Watch>);

// ===== impl Tunnel =====

impl Tunnel {
    /// The tunnel that this request's handshake is to open.
    pub fn of(extensions: &mut Extensions) -> Self {
        extensions.get_or_insert_default::<Self>().clone()
    }

    /// Which layer ended it, and how; `None` as long as none has. The first word stands.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.shared.end.get().copied()
    }

    /// Whether a layer has ended it and is done: the peer has answered our Close, or has had its
    /// time. Nothing more will come from it, and nothing more reaches it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.over.load(Ordering::Relaxed)
    }

    /// The name of the upstream, once it is known.
    #[must_use]
    pub fn upstream(&self) -> Option<&str> {
        self.shared.upstream.get().map(AsRef::as_ref)
    }

    /// Names the upstream, for observers. The first name stands. Give a name out of few: it becomes
    /// a label of metrics. One that is kept in an [`Arc`] is not copied.
    pub fn set_upstream(&self, name: impl Into<Arc<str>>) {
        let _ = self.shared.upstream.set(name.into());
    }

    /// Promises that the caller logs the end of this tunnel, so that the layers need not.
    pub fn promise_to_tell(&self) {
        self.shared.told.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_told(&self) -> bool {
        self.shared.told.load(Ordering::Relaxed)
    }

    pub(crate) fn set_end(&self, end: End) {
        let _ = self.shared.end.set(end);
    }

    pub(crate) fn set_over(&self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }

    /// Warns that nobody knows any more where the frames of this side begin: from then on no frame
    /// can be put between them. Once for each side, however many see it; who has a span of its own for
    /// the tunnel enters it before.
    pub fn warn_of_lost_frames(&self, side: Role) {
        let lost = &self.shared.lost[usize::from(side == Role::Server)];
        if !lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                side = match side {
                    Role::Client => "client",
                    Role::Server => "server",
                },
                "a frame length of more than 63 bits: no frame of ours can be put between this side's any \
                 more, neither pings nor a Close"
            );
        }
    }

    pub(crate) fn watch(&self, watcher: Arc<dyn Watch>) {
        let mut slot = self.watcher();
        *slot = Some(match slot.take() {
            None => watcher,
            Some(first) => Arc::new(Both(first, watcher)),
        });
    }

    pub(crate) fn ping(&self, peer: Role, round_trip: Duration) {
        if let Some(watcher) = &*self.watcher() {
            watcher.ping(self, peer, round_trip);
        }
    }

    pub(crate) fn limit(&self, limit: Limit) {
        if let Some(watcher) = &*self.watcher() {
            watcher.limit(self, limit);
        }
    }

    fn watcher(&self) -> MutexGuard<'_, Option<Arc<dyn Watch>>> {
        // A watcher that panics leaves all as it was.
        let watcher = self.shared.watcher.lock();
        watcher.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("end", &self.end.get())
            .field("over", &self.over)
            .field("upstream", &self.upstream.get())
            .finish_non_exhaustive()
    }
}

// ===== impl Both =====

impl Watch for Both {
    fn ping(&self, tunnel: &Tunnel, peer: Role, round_trip: Duration) {
        self.0.ping(tunnel, peer, round_trip);
        self.1.ping(tunnel, peer, round_trip);
    }

    fn limit(&self, tunnel: &Tunnel, limit: Limit) {
        self.0.limit(tunnel, limit);
        self.1.limit(tunnel, limit);
    }
}

// ===== impl Cause =====

impl Cause {
    /// The rule that was broken, if that was the cause.
    #[must_use]
    pub const fn violation(&self) -> Option<Violation> {
        match self {
            Self::ProtocolError(violation) => Some(*violation),
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PongTimeout => "pong timeout",
            Self::ReadTimeout => "read timeout",
            Self::IdleTimeout => "idle timeout",
            Self::Lifetime => "lifetime",
            Self::FrameTimeout => "frame timeout",
            Self::MessageTimeout => "message timeout",
            Self::CloseTimeout => "close timeout",
            Self::Drain => "drain",
            Self::Limit(limit) => return limit.fmt(f),
            Self::ProtocolError(_) => "protocol error",
        })
    }
}

// ===== impl Limit =====

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tunnels => "tunnels",
            Self::TunnelsPerClient => "tunnels per client",
            Self::PendingHandshakes => "pending handshakes",
            Self::HandshakeRate => "handshake rate",
            Self::FrameSize => "frame size",
            Self::MessageSize => "message size",
            Self::MessageRate => "message rate",
            Self::FrameRate => "frame rate",
            Self::ByteRate => "byte rate",
        })
    }
}
