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

use std::{fmt, net::IpAddr, sync::Arc};

use http::{
    HeaderName, Request,
    header::{HOST, ORIGIN},
    uri::{Authority, Scheme},
};

use crate::{
    client::{self, TrustedProxies},
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

/// An origin: scheme, host, port (RFC 6454 4).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin<'a> {
    secure: bool,
    host: &'a str,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    secure: bool,
    /// Of a wildcard, what follows the star: `.example.com`.
    host: Box<str>,
    wildcard: bool,
    port: u16,
}

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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

/// The origin that the request asks for, as far as it is known.
struct Own<'a> {
    secure: bool,
    host: Option<&'a str>,
}

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

// ===== impl Origin =====

impl<'a> Origin<'a> {
    fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, host) = origin.split_once("://")?;
        let secure = match scheme {
            s if s.eq_ignore_ascii_case("https") => true,
            s if s.eq_ignore_ascii_case("http") => false,
            _ => return None,
        };
        Self::of_host(secure, host)
    }

    /// The origin of a host and perhaps a port, whose default depends on the scheme.
    fn of_host(secure: bool, host: &'a str) -> Option<Self> {
        // Checks the syntax, a path above all. `Authority` would own what we can borrow.
        host.parse::<Authority>()
            .ok()
            .filter(|a| !a.as_str().contains('@'))?;
        let colon = host.rfind(':').filter(|c| !host[*c..].contains(']'));
        let (name, port) = match colon {
            Some(colon) => (&host[..colon], host[colon + 1..].parse().ok()?),
            None => (host, if secure { 443 } else { 80 }),
        };
        Some(Self {
            secure,
            host: name,
            port,
        })
    }

    fn is_same(&self, other: &Origin<'_>) -> bool {
        self.secure == other.secure
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(other.host)
    }
}

// ===== impl Pattern =====

impl Pattern {
    fn parse(entry: &str) -> Result<Self, OriginPatternError> {
        let error = || OriginPatternError {
            entry: entry.to_owned(),
        };
        let trimmed = entry.trim();
        let (scheme, rest) = match trimmed.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            // Without a scheme only a wildcard is understood: `example.com` is no origin.
            None if trimmed.starts_with("*.") => ("https", trimmed),
            None => return Err(error()),
        };
        let (wildcard, host) = match rest.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => (true, &suffix[1..]),
            Some(_) => return Err(error()),
            None => (false, rest),
        };
        let full = format!("{scheme}://{host}");
        let origin = Origin::parse(&full).filter(|o| !o.host.contains('*') && !o.host.is_empty());
        let origin = origin.ok_or_else(error)?;
        let dot = if wildcard { "." } else { "" };
        Ok(Self {
            secure: origin.secure,
            host: format!("{dot}{}", origin.host).to_ascii_lowercase().into(),
            wildcard,
            port: origin.port,
        })
    }

    fn matches(&self, origin: &Origin<'_>) -> bool {
        let host = origin.host.to_ascii_lowercase();
        self.secure == origin.secure
            && self.port == origin.port
            && match self.wildcard {
                true => host.len() > self.host.len() && host.ends_with(&*self.host),
                false => host == *self.host,
            }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, star) = (
            if self.secure { "https" } else { "http" },
            if self.wildcard { "*" } else { "" },
        );
        write!(f, "{scheme}://{star}{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;

    fn request(scheme: Scheme, host: &str, origin: &str) -> Request<()> {
        Request::get("/")
            .header(HOST, host)
            .header(ORIGIN, origin)
            .extension(scheme)
            .extension(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4711))))
            .body(())
            .unwrap()
    }

    #[track_caller]
    fn same_origin(scheme: Scheme, host: &str, origin: &str, expected: bool) {
        let req = request(scheme, host, origin);
        let answer = OriginPolicy::same_origin().check(&req, &TrustedProxies::none());
        assert_eq!(answer.is_ok(), expected, "{host} {origin}: {answer:?}");
    }

    #[test]
    fn same_origin_compares_scheme_host_and_port() {
        let (https, http) = (|| Scheme::HTTPS, || Scheme::HTTP);
        same_origin(https(), "example.com", "https://example.com", true);
        same_origin(https(), "Example.com", "https://example.COM", true);
        same_origin(https(), "example.com:443", "https://example.com", true);
        same_origin(
            https(),
            "example.com:8443",
            "https://example.com:8443",
            true,
        );
        same_origin(https(), "[::1]:8443", "https://[::1]:8443", true);
        same_origin(https(), "example.com", "https://example.com:8443", false);
        same_origin(https(), "example.com:8443", "https://example.com", false);
        same_origin(https(), "example.com", "http://example.com", false);
        same_origin(
            https(),
            "example.com",
            "https://example.com.evil.example",
            false,
        );
        same_origin(https(), "example.com", "https://evil.example", false);
        same_origin(https(), "example.com", "null", false);
        same_origin(https(), "example.com", "https://user@example.com", false);
        same_origin(https(), "example.com", "https://example.com/", false);
        same_origin(
            https(),
            "example.com",
            "chrome-extension://example.com",
            false,
        );
        // Behind a terminator that nobody declared, either scheme is right.
        same_origin(http(), "example.com", "http://example.com", true);
        same_origin(http(), "example.com", "https://example.com", true);
        same_origin(http(), "example.com", "http://example.com:8080", false);
    }

    #[test]
    fn no_origin_passes_and_two_do_not() {
        let policy = OriginPolicy::same_origin();
        let mut req = request(Scheme::HTTPS, "example.com", "https://example.com");
        req.headers_mut()
            .append(ORIGIN, "https://example.com".parse().unwrap());
        assert!(policy.check(&req, &TrustedProxies::none()).is_err());
        req.headers_mut().remove(ORIGIN);
        assert!(policy.check(&req, &TrustedProxies::none()).is_ok());
    }

    #[test]
    fn the_authority_of_http2_is_the_host() {
        let mut req = request(Scheme::HTTPS, "ignored.example", "https://example.com");
        *req.uri_mut() = "https://example.com/websocket".parse().unwrap();
        assert!(
            OriginPolicy::same_origin()
                .check(&req, &TrustedProxies::none())
                .is_ok()
        );
    }

    #[test]
    fn a_trusted_proxy_says_which_host_was_asked_for() {
        let mut req = request(Scheme::HTTP, "10.1.2.3:9000", "https://example.com");
        let headers = req.headers_mut();
        headers.insert(X_FORWARDED_HOST, "example.com".parse().unwrap());
        headers.insert(X_FORWARDED_PROTO, "https".parse().unwrap());
        let policy = OriginPolicy::same_origin();
        assert!(policy.check(&req, &TrustedProxies::none()).is_err());
        assert!(
            policy
                .check(&req, &TrustedProxies::new(["10.0.0.0/8"]).unwrap())
                .is_ok()
        );
    }

    #[track_caller]
    fn allowed(pattern: &str, origin: &str, expected: bool) {
        let policy = OriginPolicy::allow([pattern]).unwrap();
        let answer = policy.check(
            &request(Scheme::HTTPS, "h", origin),
            &TrustedProxies::none(),
        );
        assert_eq!(answer.is_ok(), expected, "{pattern} {origin}");
    }

    #[test]
    fn allowed_origins_are_exact_or_a_wildcard() {
        allowed("https://example.com", "https://example.com", true);
        allowed("https://Example.com", "https://example.com:443", true);
        allowed("https://example.com", "http://example.com", false);
        allowed("https://example.com", "https://www.example.com", false);
        allowed("http://localhost:3000", "http://localhost:3000", true);
        allowed("*.example.com", "https://www.example.com", true);
        allowed("*.example.com", "https://a.b.example.com", true);
        allowed("*.example.com", "https://example.com", false);
        allowed("*.example.com", "https://evilexample.com", false);
        allowed("*.example.com", "http://www.example.com", false);
        allowed("http://*.localhost:3000", "http://app.localhost:3000", true);
    }

    #[test]
    fn any_lets_every_page_in() {
        let req = request(Scheme::HTTPS, "example.com", "null");
        assert!(
            OriginPolicy::any()
                .check(&req, &TrustedProxies::none())
                .is_ok()
        );
    }

    #[test]
    fn a_pattern_that_is_no_origin_is_named() {
        for entry in [
            "example.com",
            "https://",
            "https://a/b",
            "https://*",
            "*",
            "ftp://a",
            "",
        ] {
            let error = OriginPolicy::allow([entry]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`{entry}` is no origin"))
            );
        }
    }
}
