//! Which web pages may open a WebSocket.
//!
//! Browsers let any page open a WebSocket to any host, cookies included, and leave it to the server
//! to look at `Origin` (RFC 6455 10.2). A server that does not can be used by any page in the
//! visitor's name: cross-site WebSocket hijacking. [`OriginPolicy`] is the decision, taken at the
//! handshake.
//!
//! # Example
//!
//! ```
//! use http::Request;
//! use wsgate_layer::{OriginPolicy, client::TrustedProxies};
//!
//! let policy = OriginPolicy::same_origin().and_allow(["https://app.example.org"])?;
//! let from = |origin| {
//!     let req = Request::get("/websocket").header("host", "example.com").header("origin", origin);
//!     policy.check(&req.body(()).unwrap(), &TrustedProxies::none())
//! };
//! assert!(from("https://example.com").is_ok());
//! assert!(from("https://app.example.org").is_ok());
//! assert!(from("https://evil.example").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod pattern;

#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc};

use http::{
    Request,
    header::{HOST, ORIGIN},
    uri::{Authority, Scheme},
};

use self::pattern::{Origin, Pattern};
use crate::{
    client::{self, TrustedProxies, X_FORWARDED_HOST, X_FORWARDED_PROTO},
    handshake::tokens,
};

/// Which origins may open a WebSocket. Cheap to clone.
///
/// A request without `Origin` passes: browsers always send one, and who is no browser can write
/// what he likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPolicy {
    any: bool,
    same_origin: bool,
    allowed: Arc<[Pattern]>,
}

/// A handshake from a page of another origin. `Display` is the sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the origin {origin} may not open a WebSocket at {host}")]
pub struct OriginError {
    origin: String,
    host: String,
}

/// An allowed origin that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{entry}` is no origin: write it as https://example.com, https://example.com:8443 or \
     *.example.com, with no path"
)]
pub struct OriginPatternError {
    entry: String,
}

/// The origin that a request asks for, as far as it is known.
struct Own<'a> {
    secure: bool,
    host: Option<&'a str>,
}

// ===== impl OriginPolicy =====

impl OriginPolicy {
    /// Pages of the host that the request itself asks for: `Host` (`:authority` over HTTP/2)
    /// against `Origin`, ports included. Behind [trusted proxies](TrustedProxies),
    /// `X-Forwarded-Host` and `X-Forwarded-Proto` go before.
    ///
    /// Over TLS the page must have come over TLS as well. Over plain HTTP either scheme passes, as a
    /// terminator in front that is not listed as trusted may have taken the TLS off.
    #[must_use]
    pub fn same_origin() -> Self {
        Self {
            any: false,
            same_origin: true,
            allowed: Arc::default(),
        }
    }

    /// Exactly these origins: `https://example.com`, `http://localhost:3000`, and with all their
    /// subdomains but not themselves `*.example.com` (which means `https://*.example.com`).
    ///
    /// # Errors
    ///
    /// [`OriginPatternError`] with the first entry that is none of these.
    pub fn allow<I>(origins: I) -> Result<Self, OriginPatternError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        Self {
            any: false,
            same_origin: false,
            allowed: Arc::default(),
        }
        .and_allow(origins)
    }

    /// Every page of the web. Right for a public service that knows no cookies.
    #[must_use]
    pub fn any() -> Self {
        Self {
            any: true,
            same_origin: false,
            allowed: Arc::default(),
        }
    }

    /// These origins as well, written as for [`allow`](Self::allow).
    ///
    /// # Errors
    ///
    /// As for [`allow`](Self::allow).
    pub fn and_allow<I>(mut self, origins: I) -> Result<Self, OriginPatternError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let more = origins.into_iter().map(|o| Pattern::parse(o.as_ref()));
        let all = self.allowed.iter().cloned().map(Ok).chain(more);
        self.allowed = all.collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Whether the page that sent this handshake may.
    ///
    /// # Errors
    ///
    /// [`OriginError`] where it may not: an answer of 403 is due. Two `Origin` fields, and `null`,
    /// which sandboxed pages and files send, are nobody's origin.
    pub fn check<B>(&self, req: &Request<B>, trusted: &TrustedProxies) -> Result<(), OriginError> {
        if self.any || !req.headers().contains_key(ORIGIN) {
            return Ok(());
        }
        let origin = tokens::only(req.headers(), &ORIGIN).and_then(|o| o.to_str().ok());
        let own = Own::of(req, trusted);
        let passes = |o: Origin<'_>| {
            (self.same_origin && own.is_same(&o)) || self.allowed.iter().any(|p| p.matches(&o))
        };
        if origin.and_then(Origin::parse).is_some_and(passes) {
            return Ok(());
        }
        let first = req.headers().get(ORIGIN).map(|o| o.as_bytes());
        Err(OriginError {
            origin: first.unwrap_or_default().escape_ascii().to_string(),
            host: own.host.unwrap_or_default().escape_default().to_string(),
        })
    }
}

impl Default for OriginPolicy {
    fn default() -> Self {
        Self::same_origin()
    }
}

// ===== impl Own =====

impl<'a> Own<'a> {
    fn of<B>(req: &'a Request<B>, trusted: &TrustedProxies) -> Self {
        let headers = req.headers();
        let peer: Option<IpAddr> = client::peer_addr(req.extensions()).map(|p| p.ip());
        let forwarded = |name| {
            // The last member was written by the proxy next to us.
            let told = || tokens::members(headers, &name).last();
            peer.filter(|p| trusted.contains(*p)).and_then(|_| told())
        };
        let authority = req.uri().authority().map(Authority::as_str);
        let host = || tokens::only(headers, &HOST).and_then(|h| h.to_str().ok());
        let secure = match forwarded(X_FORWARDED_PROTO) {
            Some(proto) => proto.eq_ignore_ascii_case("https") || proto.eq_ignore_ascii_case("wss"),
            None => client::scheme(req) == Scheme::HTTPS,
        };
        Self {
            secure,
            host: forwarded(X_FORWARDED_HOST).or(authority).or_else(host),
        }
    }

    fn is_same(&self, origin: &Origin<'_>) -> bool {
        let Some(own) = self.host.and_then(|h| Origin::of_host(origin.secure, h)) else {
            return false;
        };
        (origin.secure || !self.secure) && own.is_same(origin)
    }
}
