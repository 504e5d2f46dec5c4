//! Asking endpoints how they are, without a client.

mod ask;
mod checker;
mod websocket;

use std::{
    fmt,
    ops::{Bound, RangeBounds},
    str::FromStr,
    time::Duration,
};

use http::{HeaderValue, StatusCode, uri::PathAndQuery};

pub(in crate::upstream) use self::checker::Checker;

/// How the endpoints of a group are checked, and how often. See the [module](super).
///
/// Each endpoint is asked on a connection of its own, made and secured as those of handshakes are.
///
/// | | written | an endpoint passes that |
/// |---|---|---|
/// | [`tcp`](Self::tcp) | `tcp` | takes a connection, and TLS where it has that |
/// | [`http`](Self::http) | `http:/path` | answers a `GET` with an expected status |
/// | [`websocket`](Self::websocket) | `websocket`, `websocket:/path` | opens a WebSocket, and answers a ping in it |
///
/// Choose the WebSocket: it is what clients will ask for. An application that counts its clients sees
/// each check as one that comes and leaves; where that disturbs, HTTP tells nearly as much. TCP tells
/// only that somebody listens, which a process does that hangs.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use wsgate_proxy::upstream::health::HealthCheck;
///
/// let check = HealthCheck::http("/healthz")?
///     .expect_status(200..=204)
///     .every(Duration::from_secs(2))
///     .fall(2);
///
/// // As the program has it.
/// let check: HealthCheck = "websocket:/websocket".parse()?;
/// # Ok::<(), wsgate_proxy::upstream::health::HealthCheckError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HealthCheck {
    ask: Ask,
    /// `None` for each endpoint's own.
    host: Option<HeaderValue>,
    every: Duration,
    timeout: Duration,
    pub(super) rise: u32,
    pub(super) fall: u32,
}

/// A health check that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthCheckError {
    /// Not of one of the forms.
    #[error("`{0}` is no health check: write it as tcp, http:/path, websocket or websocket:/path")]
    Syntax(String),
    /// What should be a path is none.
    #[error("`{0}` is no path to check: write one that begins with a single slash, as /healthz")]
    Path(String),
}

#[derive(Clone, Debug)]
enum Ask {
    Tcp,
    Http {
        path: PathAndQuery,
        /// What passes.
        statuses: (Bound<u16>, Bound<u16>),
    },
    WebSocket {
        path: PathAndQuery,
    },
}

// ===== impl HealthCheck =====

impl HealthCheck {
    /// How often by default: every 5 s, as nginx. With [three failures](Self::fall) and the
    /// [timeout](Self::timeout) an endpoint that has died is out within about 20 s; handshakes see it
    /// earlier.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

    /// How long one may take by default: 2 s. A lost SYN is sent again after one.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

    /// Passes where a connection can be made, TLS included where the endpoint has it.
    #[must_use]
    pub const fn tcp() -> Self {
        Self::new(Ask::Tcp)
    }

    /// Passes where a `GET` of this path is answered with an [expected](Self::expect_status) status.
    /// Redirects are not followed.
    ///
    /// # Errors
    ///
    /// [`HealthCheckError::Path`] if it is no path.
    pub fn http(path: &str) -> Result<Self, HealthCheckError> {
        Ok(Self::new(Ask::Http {
            path: parse_path(path)?,
            statuses: (Bound::Included(200), Bound::Excluded(400)),
        }))
    }

    /// Passes where a handshake for this path is accepted as RFC 6455 4.1 demands, and a ping then
    /// answered by its pong. Leaves with Close 1000.
    ///
    /// # Errors
    ///
    /// [`HealthCheckError::Path`] if it is no path.
    pub fn websocket(path: &str) -> Result<Self, HealthCheckError> {
        Ok(Self::new(Ask::WebSocket {
            path: parse_path(path)?,
        }))
    }

    const fn new(ask: Ask) -> Self {
        Self {
            ask,
            host: None,
            every: Self::DEFAULT_INTERVAL,
            timeout: Self::DEFAULT_TIMEOUT,
            rise: 2,
            fall: 3,
        }
    }

    /// With which statuses an HTTP check passes. Default: 200 to 399, as nginx and HAProxy. Means
    /// nothing for the others.
    #[must_use]
    pub fn expect_status(mut self, expected: impl RangeBounds<u16>) -> Self {
        if let Ask::Http { statuses, .. } = &mut self.ask {
            *statuses = (
                expected.start_bound().cloned(),
                expected.end_bound().cloned(),
            );
        }
        self
    }

    /// Sends this `Host`. Default: the endpoint's own host and port, as there is no client whose host
    /// it could be. The name that a certificate is checked against is that of handshakes.
    #[must_use]
    pub fn host(mut self, host: HeaderValue) -> Self {
        self.host = Some(host);
        self
    }

    /// How often each endpoint is asked, from one answer to the next question. Default:
    /// [5 s](Self::DEFAULT_INTERVAL), longer or shorter by up to a tenth at random, so that they do not
    /// all come at once. At least 10 ms.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval.max(Duration::from_millis(10));
        self
    }

    /// How long one may take, from the connection on. Default: [2 s](Self::DEFAULT_TIMEOUT).
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many have to pass in a row before an endpoint that failed gets tunnels again. Default: 2,
    /// as one may pass by chance in the midst of a restart. At least 1.
    #[must_use]
    pub fn rise(mut self, passes: u32) -> Self {
        self.rise = passes.max(1);
        self
    }

    /// How many have to fail in a row before an endpoint gets no more tunnels. Default: 3, as one or two
    /// may be lost in a busy moment. At least 1.
    #[must_use]
    pub fn fall(mut self, failures: u32) -> Self {
        self.fall = failures.max(1);
        self
    }
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ask {
            Ask::Tcp => f.write_str("tcp"),
            Ask::Http { path, .. } => write!(f, "http:{path}"),
            Ask::WebSocket { path } => write!(f, "websocket:{path}"),
        }
    }
}

impl FromStr for HealthCheck {
    type Err = HealthCheckError;

    /// `tcp`, `http:/path`, `websocket:/path`, or `websocket` for the path `/`.
    fn from_str(s: &str) -> Result<Self, HealthCheckError> {
        match s.split_once(':') {
            None if s == "tcp" => Ok(Self::tcp()),
            None if s == "websocket" => Self::websocket("/"),
            Some(("http", path)) => Self::http(path),
            Some(("websocket", path)) => Self::websocket(path),
            _ => Err(HealthCheckError::Syntax(s.to_owned())),
        }
    }
}

fn parse_path(path: &str) -> Result<PathAndQuery, HealthCheckError> {
    let error = || HealthCheckError::Path(path.to_owned());
    // With two slashes it is a URL that lost its scheme: where to ask is the endpoint's business.
    if !path.starts_with('/') || path.starts_with("//") || path.contains('#') {
        return Err(error());
    }
    path.parse().map_err(|_| error())
}

impl Ask {
    /// Whether a `GET` with this answer passes.
    fn expects(&self, status: StatusCode) -> bool {
        match self {
            Self::Http { statuses, .. } => statuses.contains(&status.as_u16()),
            Self::Tcp | Self::WebSocket { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood_and_written_back() {
        #[track_caller]
        fn check(s: &str, expected: &str) {
            assert_eq!(s.parse::<HealthCheck>().unwrap().to_string(), expected);
        }
        check("tcp", "tcp");
        check("http:/", "http:/");
        check("http:/healthz?full=1", "http:/healthz?full=1");
        check("websocket", "websocket:/");
        check("websocket:/live/websocket", "websocket:/live/websocket");
    }

    #[test]
    fn anything_else_is_named() {
        #[track_caller]
        fn check(s: &str, expected: &str) {
            let error = s.parse::<HealthCheck>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        for s in [
            "", "http", "TCP", "tcp:", "tcp:/", "ws:/a", "/healthz", "https:/a",
        ] {
            check(s, &format!("`{s}` is no health check"));
        }
        for path in ["", "healthz", "//10.0.0.1/healthz", "/a b", "/a#b"] {
            check(&format!("http:{path}"), &format!("`{path}` is no path"));
            check(
                &format!("websocket:{path}"),
                &format!("`{path}` is no path"),
            );
        }
    }

    #[test]
    fn statuses_are_expected_as_ranges() {
        #[track_caller]
        fn check(check: &HealthCheck, passes: &[u16], fails: &[u16]) {
            let expects = |status: &u16| check.ask.expects(StatusCode::from_u16(*status).unwrap());
            assert!(passes.iter().all(expects));
            assert!(!fails.iter().any(expects));
        }
        let http = HealthCheck::http("/").unwrap();
        check(&http, &[200, 204, 302, 399], &[101, 400, 404, 500, 503]);
        check(&http.clone().expect_status(204..=204), &[204], &[200, 205]);
        check(&http.expect_status(200..), &[200, 404, 599], &[199]);
    }
}
