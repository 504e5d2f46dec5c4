use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use http::{HeaderValue, Uri};

/// Where an upstream listens.
///
/// Written as `http://127.0.0.1:9000` or `ws://…` (plain TCP, port 80 by default), `https://…` or
/// `wss://…` (TLS, port 443 by default), or `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    address: Address,
    /// As in the configuration: what logs and errors say.
    name: String,
    /// Where its host is, for one that was looked up beforehand.
    ip: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

/// An endpoint that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not of one of the forms.
    #[error("`{0}` is no endpoint: write it as http://host:port, https://host:port or unix:/path")]
    Syntax(String),
    /// It has a path or a query.
    #[error(
        "`{0}` has a path, and an endpoint is only where to connect: to change the path of \
         requests, use `replace_prefix`"
    )]
    HasPath(String),
    /// The roots that an `https://` endpoint is checked with could not be had.
    #[error("no roots to check {0} with")]
    Tls(String, #[source] crate::UpstreamTlsError),
}

// ===== impl Endpoint =====

impl Endpoint {
    /// The endpoint at one of its host's addresses: connections go there, and no name is looked up.
    /// Its `Host`, and the name that its certificate is checked for, are still the host's.
    ///
    /// Two addresses make two endpoints. Means nothing for a Unix socket.
    ///
    /// ```
    /// use wsgate_proxy::Endpoint;
    ///
    /// let endpoint: Endpoint = "https://backend.internal:9000".parse()?;
    /// let endpoint = endpoint.at([10, 0, 0, 1].into());
    /// assert_eq!(endpoint.to_string(), "https://backend.internal:9000 at 10.0.0.1");
    /// # Ok::<(), wsgate_proxy::EndpointError>(())
    /// ```
    #[must_use]
    pub fn at(mut self, ip: IpAddr) -> Self {
        if matches!(self.address, Address::Tcp { .. }) {
            self.ip = Some(ip);
        }
        self
    }

    /// Where to connect, if that takes no looking up.
    pub(crate) fn socket_addr(&self) -> Option<SocketAddr> {
        let Address::Tcp { host, port, .. } = &self.address else {
            return None;
        };
        let ip = self.ip.or_else(|| host.parse().ok())?;
        Some(SocketAddr::new(ip, *port))
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self.address, Address::Tcp { tls: true, .. })
    }

    /// The Host that the endpoint itself goes by. A Unix socket has none but `localhost`.
    pub(crate) fn host(&self) -> HeaderValue {
        let host = match &self.address {
            Address::Unix(_) => "localhost".to_owned(),
            Address::Tcp { host, port, tls } => {
                let host = if is_ipv6(host) {
                    format!("[{host}]")
                } else {
                    host.clone()
                };
                match (tls, port) {
                    (false, 80) | (true, 443) => host,
                    _ => format!("{host}:{port}"),
                }
            }
        };
        HeaderValue::try_from(host).expect("a host that parsed as an authority is visible ASCII")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => write!(f, "{} at {ip}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(s: &str) -> Result<Self, EndpointError> {
        if let Some(path) = s.strip_prefix("unix:") {
            return match Path::new(path).is_absolute() {
                true => Ok(Self {
                    address: Address::Unix(path.into()),
                    name: s.to_owned(),
                    ip: None,
                }),
                false => Err(EndpointError::syntax(s)),
            };
        }
        let syntax = || EndpointError::syntax(s);
        let uri: Uri = s.parse().map_err(|_| syntax())?;
        let tls = match uri.scheme_str() {
            Some("http" | "ws") => false,
            Some("https" | "wss") => true,
            _ => return Err(syntax()),
        };
        let authority = uri.authority().ok_or_else(syntax)?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        // `http` takes empty brackets for a host.
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(syntax());
        }
        let port = match authority.port() {
            Some(port) => Some(port.as_u16()),
            // `http` gives no port for one that does not fit, and for none after the colon.
            None if authority.as_str().ends_with(authority.host()) => None,
            None => return Err(syntax()),
        };
        if uri.path_and_query().is_some_and(|p| p != "/") {
            return Err(EndpointError::HasPath(without_secrets(s)));
        }
        Ok(Self {
            address: Address::Tcp {
                host: host.to_owned(),
                port: port.unwrap_or(if tls { 443 } else { 80 }),
                tls,
            },
            name: s.trim_end_matches('/').to_owned(),
            ip: None,
        })
    }
}

// ===== impl EndpointError =====

impl EndpointError {
    pub(crate) fn syntax(written: &str) -> Self {
        Self::Syntax(without_secrets(written))
    }
}

/// What was written for a URL, for the log: without the names and values of a query, and without what
/// stands before an `@`. An endpoint has neither, but who believes so has a password there.
fn without_secrets(written: &str) -> String {
    let (scheme, rest) = match written.find("://") {
        Some(colon) => written.split_at(colon + "://".len()),
        None => ("", written),
    };
    let (rest, query) = match rest.find(['?', '#']) {
        Some(mark) => (&rest[..mark], "?***"),
        None => (rest, ""),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}{query}"),
        None => format!("{scheme}{rest}{query}"),
    }
}

fn is_ipv6(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tcp(s: &str, host: &str, port: u16, tls: bool, header: &str) {
        let endpoint: Endpoint = s.parse().unwrap();
        let expected = Address::Tcp {
            host: host.to_owned(),
            port,
            tls,
        };
        assert_eq!(*endpoint.address(), expected);
        assert_eq!(endpoint.host(), header);
    }

    #[test]
    fn every_form_is_understood() {
        tcp(
            "http://127.0.0.1:9000",
            "127.0.0.1",
            9000,
            false,
            "127.0.0.1:9000",
        );
        tcp("ws://backend", "backend", 80, false, "backend");
        tcp("https://backend/", "backend", 443, true, "backend");
        tcp("wss://[::1]:8443", "::1", 8443, true, "[::1]:8443");

        let unix: Endpoint = "unix:/run/app.sock".parse().unwrap();
        assert_eq!(*unix.address(), Address::Unix("/run/app.sock".into()));
        assert_eq!(unix.to_string(), "unix:/run/app.sock");
        assert_eq!(unix.host(), "localhost");
    }

    #[test]
    fn a_name_is_kept_as_it_was_written() {
        let endpoint: Endpoint = "ws://Backend:80/".parse().unwrap();
        assert_eq!(endpoint.to_string(), "ws://Backend:80");
    }

    #[test]
    fn an_address_leaves_the_host_as_it_is() {
        let endpoint: Endpoint = "https://backend:8443".parse().unwrap();
        assert_eq!(endpoint.socket_addr(), None);

        let at = endpoint.clone().at([10, 0, 0, 1].into());
        assert_ne!(at, endpoint);
        assert_eq!(at.to_string(), "https://backend:8443 at 10.0.0.1");
        assert_eq!(at.host(), "backend:8443");
        assert_eq!(at.address(), endpoint.address());
        assert_eq!(at.socket_addr(), Some(([10, 0, 0, 1], 8443).into()));

        let unix: Endpoint = "unix:/run/app.sock".parse().unwrap();
        assert_eq!(unix.clone().at([10, 0, 0, 1].into()), unix);
    }

    #[test]
    fn anything_else_is_named() {
        #[track_caller]
        fn check(s: &str, expected: &str) {
            let error = s.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{s}` {expected}")), "{error}");
        }
        for s in [
            "",
            "backend",
            "backend:9000",
            "ftp://a",
            "http://",
            "http://:80",
            "http://a:99999",
            "http://a:",
            "http://***@a",
            "http://[]",
            "http://[]:80",
            "unix:",
            "unix:app.sock",
            "http://a b",
        ] {
            check(s, "is no endpoint");
        }
        for s in ["http://a/app", "http://a/?***", "http://a?***"] {
            check(s, "has a path");
        }
    }

    #[test]
    fn a_secret_in_what_is_no_endpoint_is_not_repeated() {
        #[track_caller]
        fn check(s: &str, shown: &str) {
            let error = s.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{shown}` ")), "{error}");
        }
        check("http://user:secret@a:80", "http://***@a:80");
        check("https://a/?token=secret#x", "https://a/?***");
        check("http://se:cr@et@a/x?y", "http://***@a/x?***");
        check("user:secret@a", "***@a");
        check("ftp://a/#secret", "ftp://a/?***");
    }
}
