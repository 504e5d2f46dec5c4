//! A page may open a WebSocket if its origin is one that was allowed, and for no other reason.

use http::{HeaderValue, Request};
use wsgate_layer::{OriginPolicy, client::TrustedProxies};

/// An origin, taken apart by the plainest rules there are.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    secure: bool,
    host: String,
    port: u16,
}

/// Lines: a pattern, an `Origin`, a `Host`.
///
/// # Panics
///
/// When the law is broken.
pub(crate) fn passes_who_may(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let (Some(pattern), Some(origin), Some(host)) = (lines.next(), lines.next(), lines.next())
    else {
        return;
    };
    let Ok(pattern) = str::from_utf8(pattern) else {
        return;
    };
    let (Ok(origin), Ok(host)) = (
        HeaderValue::from_bytes(origin),
        HeaderValue::from_bytes(host),
    ) else {
        return;
    };
    let mut req = Request::new(());
    req.headers_mut().insert("host", host.clone());
    req.headers_mut().insert("origin", origin.clone());

    let parts = origin.to_str().ok().and_then(Parts::of);
    if let Ok(policy) = OriginPolicy::allow([pattern]) {
        let passes = policy.check(&req, &TrustedProxies::none()).is_ok();
        let may = parts
            .as_ref()
            .is_some_and(|parts| parts.is_allowed_by(pattern));
        assert_eq!(passes, may, "{origin:?} by {pattern:?}");
        // Whoever is allowed comes in by exactly what was written.
        if let Ok(own) = HeaderValue::from_str(pattern.trim())
            && !pattern.contains('*')
        {
            req.headers_mut().insert("origin", own);
            assert!(
                policy.check(&req, &TrustedProxies::none()).is_ok(),
                "{pattern:?}"
            );
            req.headers_mut().insert("origin", origin.clone());
        }
    }

    let passes = OriginPolicy::same_origin()
        .check(&req, &TrustedProxies::none())
        .is_ok();
    let same = parts.is_some_and(|parts| {
        let own = host
            .to_str()
            .ok()
            .and_then(|host| Parts::of_host(parts.secure, host));
        own == Some(parts)
    });
    assert_eq!(passes, same, "{origin:?} at {host:?}");
}

// ===== impl Parts =====

impl Parts {
    fn of(origin: &str) -> Option<Self> {
        let (scheme, host) = origin.split_once("://")?;
        match &*scheme.to_ascii_lowercase() {
            "https" => Self::of_host(true, host),
            "http" => Self::of_host(false, host),
            _ => None,
        }
    }

    fn of_host(secure: bool, host: &str) -> Option<Self> {
        // What is a host and what not is for `http` to say; `@` and paths are in none.
        host.parse::<http::uri::Authority>().ok()?;
        if host.contains(['@', '/', '?', '#']) {
            return None;
        }
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
            _ => (host, if secure { 443 } else { 80 }),
        };
        Some(Self {
            secure,
            host: name.to_ascii_lowercase(),
            port,
        })
    }

    fn is_allowed_by(&self, pattern: &str) -> bool {
        let pattern = pattern.trim();
        let full = match pattern.contains("://") {
            true => pattern.to_owned(),
            false => format!("https://{pattern}"),
        };
        let Some((scheme, host)) = full.split_once("://") else {
            return false;
        };
        match host.strip_prefix("*.") {
            None => Self::of(&full).as_ref() == Some(self),
            Some(parent) => {
                let parent = Self::of(&format!("{scheme}://{parent}"));
                parent.is_some_and(|parent| {
                    let below = self.host.strip_suffix(&*parent.host);
                    let below = below.and_then(|name| name.strip_suffix('.'));
                    (self.secure, self.port) == (parent.secure, parent.port)
                        && below.is_some_and(|name| !name.is_empty())
                })
            }
        }
    }
}
