use http::uri::Authority;

/// An origin: scheme, host, port (RFC 6454 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    pub(super) secure: bool,
    host: &'a str,
    port: u16,
}

/// An allowed origin, or a wildcard for many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    secure: bool,
    /// Of a wildcard, what follows the star: `.example.com`.
    host: Box<str>,
    wildcard: bool,
    port: u16,
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

// ===== impl Origin =====

impl<'a> Origin<'a> {
    pub(super) fn parse(origin: &'a str) -> Option<Self> {
        let (scheme, host) = origin.split_once("://")?;
        let secure = match scheme {
            s if s.eq_ignore_ascii_case("https") => true,
            s if s.eq_ignore_ascii_case("http") => false,
            _ => return None,
        };
        Self::of_host(secure, host)
    }

    /// The origin of a host and perhaps a port, whose default depends on the scheme.
    pub(super) fn of_host(secure: bool, host: &'a str) -> Option<Self> {
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

    pub(super) fn is_same(&self, other: &Origin<'_>) -> bool {
        self.secure == other.secure
            && self.port == other.port
            && self.host.eq_ignore_ascii_case(other.host)
    }
}

// ===== impl Pattern =====

impl Pattern {
    pub(super) fn parse(entry: &str) -> Result<Self, OriginPatternError> {
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

    pub(super) fn matches(&self, origin: &Origin<'_>) -> bool {
        let host = origin.host.to_ascii_lowercase();
        self.secure == origin.secure
            && self.port == origin.port
            && match self.wildcard {
                true => host.len() > self.host.len() && host.ends_with(&*self.host),
                false => host == *self.host,
            }
    }
}
