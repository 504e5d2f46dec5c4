//! The opening handshake: what counts as one, what is wrong with one, and whether an answer fits.
//!
//! [`Kind::of`] tells a WebSocket handshake from any other request. [`check`] holds a request to
//! the rules for a server (RFC 6455 4.2.1, RFC 8441 5) and says in a [`Refusal`] what was wrong.
//! [`Offer`] keeps what was asked of an upstream, and holds its answer to the rules for a client
//! (RFC 6455 4.1).
//!
//! # Example
//!
//! ```
//! use http::Request;
//! use wsgate_layer::handshake::{self, Kind, Refusal};
//!
//! let req = Request::get("/websocket")
//!     .header("host", "example.com")
//!     .header("connection", "Upgrade")
//!     .header("upgrade", "websocket")
//!     .header("sec-websocket-version", "13")
//!     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
//!     .body(())?;
//! assert_eq!(handshake::check(&req), Ok(Kind::Upgrade));
//!
//! let page = Request::get("/websocket").body(())?;
//! assert_eq!(handshake::check(&page), Err(Refusal::NoUpgrade));
//! assert_eq!(Refusal::NoUpgrade.status(), 426);
//! # Ok::<(), http::Error>(())
//! ```

mod answer;
mod check;
mod key;
pub(crate) mod tokens;

#[cfg(test)]
mod tests;

use std::fmt;

use http::{Method, Request, StatusCode, Version, header};
use hyper::ext::Protocol;

pub use self::{
    answer::{AnswerError, Offer},
    check::{Refusal, check},
    key::{accept_key, new_key},
};

/// The one version of the protocol there is (RFC 6455 4.1).
pub const VERSION: &str = "13";

/// How a client asks for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// HTTP/1.1 `GET` with `Upgrade: websocket` (RFC 6455 4.1).
    Upgrade,
    /// HTTP/2 `CONNECT` with `:protocol: websocket` (RFC 8441 5).
    ExtendedConnect,
}

// ===== impl Kind =====

impl Kind {
    /// The kind of handshake that a request is, or `None` for any other request.
    ///
    /// hyper puts an `OnUpgrade` into every request with an `Upgrade` field and every CONNECT, so
    /// that alone says nothing.
    #[must_use]
    pub fn of<B>(req: &Request<B>) -> Option<Self> {
        match req.version() {
            Version::HTTP_11
                if req.method() == Method::GET
                    && tokens::contains(req.headers(), &header::UPGRADE, "websocket") =>
            {
                Some(Self::Upgrade)
            }
            Version::HTTP_2
                if req.method() == Method::CONNECT
                    && req
                        .extensions()
                        .get::<Protocol>()
                        .is_some_and(|p| p.as_str().eq_ignore_ascii_case("websocket")) =>
            {
                Some(Self::ExtendedConnect)
            }
            _ => None,
        }
    }

    /// Whether an answer with this status opens the WebSocket: 101 to an Upgrade, any 2xx to an
    /// extended CONNECT.
    #[must_use]
    pub fn is_accepted(self, status: StatusCode) -> bool {
        match self {
            Self::Upgrade => status == StatusCode::SWITCHING_PROTOCOLS,
            Self::ExtendedConnect => status.is_success(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upgrade => "HTTP/1.1 Upgrade",
            Self::ExtendedConnect => "HTTP/2 extended CONNECT",
        })
    }
}
