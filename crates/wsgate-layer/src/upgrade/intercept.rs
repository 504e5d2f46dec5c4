use std::{fmt, sync::Once};

use http::{Request, Response, Version, header::SEC_WEBSOCKET_VERSION};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{UpgradeSender, UpgradedIo, pair};
use crate::{handshake::Kind, stack::Stack};

/// Puts a minted `OnUpgrade` in place of the connection's, where the request is a WebSocket
/// handshake. Any other request passes untouched and gives `None`.
///
/// Where no layer can act there is a warning, once, that says what to change: for a handshake without
/// an `OnUpgrade`, which gives `None` too; for a server that was built not to upgrade; and for what
/// came over HTTP/2 as a WebSocket handshake of HTTP/1.1.
pub fn intercept<T, B>(req: &mut Request<B>) -> Option<Intercepted<T>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(kind) = Kind::of(req) else {
        warn_if_meant(req);
        return None;
    };
    let Some(outer) = req.extensions_mut().remove::<OnUpgrade>() else {
        static WARNED: Once = Once::new();
        warn_of_no_upgrades(&WARNED, kind);
        return None;
    };
    // Layers inside of here are not to leave their parts outside.
    req.extensions_mut().remove::<Stack>();
    let (sender, minted) = pair();
    req.extensions_mut().insert(minted);
    Some(Intercepted {
        kind,
        outer,
        sender,
    })
}

/// A handshake whose stream we will stand in, if the inner service accepts it.
///
/// Dropped, it fails the inner `OnUpgrade`, as hyper does for a client that left.
pub struct Intercepted<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    kind: Kind,
    outer: OnUpgrade,
    sender: UpgradeSender<T>,
}

// ===== impl Intercepted =====

impl<T> Intercepted<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// Which kind of handshake it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Completes the handshake with the inner service's answer: where that accepts, `wrap` is put
    /// round the stream as soon as the connection gives it.
    ///
    /// The gate is the status alone: hyper fulfils an HTTP/1.1 `OnUpgrade` after a refusal too,
    /// with whatever is left of the connection.
    ///
    /// The task that waits for the stream belongs to the connection: hyper resolves or drops its
    /// `OnUpgrade` when the connection ends, and the task with it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn complete<B>(
        self,
        res: &Response<B>,
        wrap: impl FnOnce(UpgradedIo) -> T + Send + 'static,
    ) {
        if !self.kind.is_accepted(res.status()) {
            return;
        }
        let Self {
            kind,
            outer,
            sender,
        } = self;
        tokio::spawn(async move {
            match outer.await {
                Ok(upgraded) => {
                    if let Err(error) = sender.send(wrap(TokioIo::new(upgraded))) {
                        tracing::error!(%error, "no stream for the handler");
                    }
                }
                // A connection that is served without upgrades says that it is not its business.
                Err(error) if error.is_user() => {
                    static WARNED: Once = Once::new();
                    warn_of_no_upgrades(&WARNED, kind);
                }
                Err(error) => tracing::debug!(%error, "the client left before the upgrade"),
            }
        });
    }
}

impl<T> fmt::Debug for Intercepted<T>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercepted")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

fn warn_of_no_upgrades(once: &Once, kind: Kind) {
    once.call_once(|| {
        tracing::warn!(
            handshake = %kind,
            "a WebSocket handshake came that its connection does not upgrade, so that no layer can \
             act on its stream: serve with upgrades (axum::serve or axum-server do, unless \
             `http1_only` was called; a bare hyper connection needs `with_upgrades`), and let no \
             layer outside take the OnUpgrade out of the request"
        );
    });
}

/// Over HTTP/2 a handshake is an extended CONNECT. With anything else its sender was not told that
/// there is such a thing, or translates badly.
fn warn_if_meant<B>(req: &Request<B>) {
    static WARNED: Once = Once::new();
    if req.version() == Version::HTTP_2 && req.headers().contains_key(SEC_WEBSOCKET_VERSION) {
        WARNED.call_once(|| {
            tracing::warn!(
                method = %req.method(),
                "a WebSocket handshake came over HTTP/2, but not as an extended CONNECT, so that no \
                 layer can act on it: serve with `http2().enable_connect_protocol()` (wsgate's server \
                 does), and see that a proxy in front speaks RFC 8441 or HTTP/1.1"
            );
        });
    }
}
