use std::{fmt, net::IpAddr, sync::Arc};

use http::{
    Request,
    header::{HOST, ORIGIN},
    uri::{Authority, Scheme},
};

use super::pattern::{Origin, OriginPatternError, Pattern};
use crate::{
    client::{self, TrustedProxies, X_FORWARDED_HOST, X_FORWARDED_PROTO},
    handshake::tokens,
};

/// Which origins may open a WebSocket. Cheap to clone.
///
/// # Example
///
/// ```
/// use http::Request;
/// use wsgate_layer::{OriginPolicy, client::TrustedProxies};
///
/// let policy = OriginPolicy::same_origin().and_allow(["https://app.example.org"])?;
/// let from = |origin| {
///     let req = Request::get("/websocket").header("host", "example.com").header("origin", origin);
///     policy.check(&req.body(()).unwrap(), &TrustedProxies::none())
/// };
/// assert!(from("https://example.com").is_ok());
/// assert!(from("https://app.example.org").is_ok());
/// assert!(from("https://evil.example").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPolicy {
    /// Whether a request without an origin may not pass.
    required: bool,
    any: bool,
    same_origin: bool,
    allowed: Arc<[Pattern]>,
}

/// A handshake from a page that may not. `Display` is the sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OriginError {
    /// `None` where there was none.
    origin: Option<String>,
    host: String,
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
            required: false,
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
            required: false,
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
            required: false,
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

    /// Refuses a request without `Origin` too.
    ///
    /// By default one passes: browsers always send an `Origin` (RFC 6455 4.1), so it came from no
    /// page and was hijacked by none; and who is no browser can write what he likes, so that asking
    /// for the field keeps nobody out. Right where programs are not to come in by oversight.
    #[must_use]
    pub fn require_origin(mut self) -> Self {
        self.required = true;
        self
    }

    /// Whether the page that sent this handshake may.
    ///
    /// # Errors
    ///
    /// [`OriginError`] where it may not: an answer of 403 is due. Two `Origin` fields, and `null`,
    /// which sandboxed pages and files send, are nobody's origin.
    pub fn check<B>(&self, req: &Request<B>, trusted: &TrustedProxies) -> Result<(), OriginError> {
        let first = req.headers().get(ORIGIN);
        match first {
            None if !self.required => return Ok(()),
            Some(_) if self.any => return Ok(()),
            _ => {}
        }
        let origin = tokens::only(req.headers(), &ORIGIN).and_then(|o| o.to_str().ok());
        let own = Own::of(req, trusted);
        let passes = |o: Origin<'_>| {
            (self.same_origin && own.is_same(&o)) || self.allowed.iter().any(|p| p.matches(&o))
        };
        if origin.and_then(Origin::parse).is_some_and(passes) {
            return Ok(());
        }
        Err(OriginError {
            origin: first.map(|o| shown(o.as_bytes())),
            host: own.host.unwrap_or_default().escape_default().to_string(),
        })
    }
}

impl Default for OriginPolicy {
    fn default() -> Self {
        Self::same_origin()
    }
}

// ===== impl OriginError =====

impl OriginError {
    /// The `Origin` that was sent, the first one where there were more, as ASCII with the rest
    /// escaped; `None` where there was none. An origin ends with its port (RFC 6454 7.1). Who sends a whole
    /// URL may have sent a secret: of that as much is here, and 300 bytes of what is longer.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// The host that was asked for, escaped in the same way. Empty where there was none.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, host } = self;
        match origin {
            Some(origin) => write!(f, "the origin {origin} may not open a WebSocket at {host}"),
            None => write!(f, "without an Origin nobody may open a WebSocket at {host}"),
        }
    }
}

fn shown(origin: &[u8]) -> String {
    let text = origin[..origin.len().min(LONGEST_SHOWN)]
        .escape_ascii()
        .to_string();
    let start = text.find("://").map_or(0, |colon| colon + "://".len());
    let (scheme, rest) = text.split_at(start);
    let (authority, end) = match rest.find(['/', '?', '#']) {
        Some(end) => (&rest[..end], "/***"),
        None => (rest, ""),
    };
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}{end}"),
        None => format!("{scheme}{authority}{end}"),
    }
}

/// Longer than any host's name.
const LONGEST_SHOWN: usize = 300;

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
