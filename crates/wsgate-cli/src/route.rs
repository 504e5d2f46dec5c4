//! `PATH=URL[,URL…]`, what one `--route` says.

use axum::http::uri::PathAndQuery;

/// What a `--route` says, taken apart. That the endpoint is one is for the library to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteSpec {
    /// The route serves this path and what is beneath it.
    pub(crate) path: String,
    /// The URLs as they were written.
    pub(crate) url: String,
    /// Never empty.
    pub(crate) endpoints: Vec<EndpointSpec>,
    /// What takes the place of `path` on the way to the upstream.
    pub(crate) replacement: Option<String>,
}

/// One of its URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndpointSpec {
    /// Where it listens, or how it is found: the URL without its path.
    pub(crate) endpoint: String,
    /// What stands behind the URL: `weight=2 backup`.
    pub(crate) options: String,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

/// Why a `--route` cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RouteError {
    #[error("write it as PATH=URL, as in /websocket=http://127.0.0.1:9000")]
    Form,
    #[error(
        "`{0}` is no path: write it as it stands in requests, beginning with `/`, with other letters \
         than ASCII percent-encoded, and with no `?`, `#`, `.` or `..`"
    )]
    Path(String),
    #[error(
        "`{0}` is taken letter by letter, and with it everything beneath it: there are no \
         patterns with `{{`, `}}`, `*` or `:`"
    )]
    Pattern(String),
    #[error("the URL has a `?` or `#`, which a route does not pass on: the client's own query is")]
    Query,
    #[error(
        "one URL has another path than the others: WebSockets that may go to either need the same \
         path there"
    )]
    Paths,
}

// ===== impl RouteSpec =====

impl RouteSpec {
    pub(crate) fn parse(route: &str) -> Result<Self, RouteError> {
        let (path, url) = route.split_once('=').ok_or(RouteError::Form)?;
        if path.contains(['{', '}', '*']) || path.split('/').any(|s| s.starts_with(':')) {
            return Err(RouteError::Pattern(path.to_owned()));
        }
        let path = checked(path)?;
        let (mut endpoints, mut replacements) = (Vec::new(), Vec::new());
        for written in url.split(',').map(str::trim) {
            let (written, options) = written.split_once(' ').unwrap_or((written, ""));
            let (endpoint, replacement) = split(written);
            if written.contains(['?', '#']) {
                return Err(RouteError::Query);
            }
            replacements.push(replacement.map(checked).transpose()?);
            endpoints.push(EndpointSpec {
                endpoint: endpoint.to_owned(),
                options: options.trim().to_owned(),
                tls: speaks_tls(endpoint),
            });
        }
        let replacement = replacements.pop().expect("a split has one piece at least");
        if replacements.iter().any(|other| *other != replacement) {
            return Err(RouteError::Paths);
        }
        Ok(Self {
            path,
            url: url.to_owned(),
            endpoints,
            replacement,
        })
    }

    /// Whether any of them speaks TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.tls)
    }

    /// Whether any is found in a file, which may have endpoints of all kinds.
    pub(crate) fn has_file(&self) -> bool {
        let mut endpoints = self.endpoints.iter();
        endpoints.any(|endpoint| endpoint.endpoint.starts_with("file:"))
    }

    /// Whether there are several endpoints, or may be.
    pub(crate) fn is_group(&self) -> bool {
        self.endpoints.len() > 1 || self.endpoints.iter().any(EndpointSpec::is_source)
    }
}

// ===== impl EndpointSpec =====

impl EndpointSpec {
    /// Whether it is no endpoint, but a place where some are found.
    pub(crate) fn is_source(&self) -> bool {
        SOURCES
            .iter()
            .any(|source| self.endpoint.starts_with(source))
    }
}

/// What stands before a place where endpoints are found.
const SOURCES: &[&str] = &["dns:", "srv:", "file:"];

/// As the library has it, to which HTTPS is https.
fn speaks_tls(endpoint: &str) -> bool {
    let sources = SOURCES.iter();
    let mut found = sources.filter_map(|source| endpoint.strip_prefix(source));
    let endpoint = found.next().unwrap_or(endpoint);
    let scheme = endpoint.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("https") || s.eq_ignore_ascii_case("wss"))
}

/// The endpoint, and the path behind it if there is one.
fn split(url: &str) -> (&str, Option<&str>) {
    // The path of a file is not one that requests could have.
    if url.starts_with("file:") {
        return (url, None);
    }
    // nginx has the scheme before a socket too.
    let url = match url.strip_prefix("http://") {
        Some(socket) if socket.starts_with("unix:") => socket,
        _ => url,
    };
    if let Some(socket) = url.strip_prefix("unix:") {
        return match socket.find(':') {
            Some(colon) => {
                let (endpoint, path) = url.split_at("unix:".len() + colon);
                (endpoint, Some(&path[1..]))
            }
            None => (url, None),
        };
    }
    let authority = url.find("://").map_or(0, |colon| colon + "://".len());
    match url[authority..].find('/') {
        Some(slash) => {
            let (endpoint, path) = url.split_at(authority + slash);
            (endpoint, Some(path))
        }
        None => (url, None),
    }
}

fn checked(path: &str) -> Result<String, RouteError> {
    let whole = path.parse::<PathAndQuery>().is_ok_and(|p| p.path() == path);
    let dots = path.split('/').any(|s| matches!(s, "." | ".."));
    match path.starts_with('/') && path.is_ascii() && whole && !dots {
        true => Ok(path.to_owned()),
        false => Err(RouteError::Path(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        for (route, path, endpoint, replacement) in [
            ("/ws=http://a:9000", "/ws", "http://a:9000", None),
            ("/ws=ws://a", "/ws", "ws://a", None),
            ("/ws=http://a:9000/", "/ws", "http://a:9000", Some("/")),
            ("/ws/=http://a/app/", "/ws/", "http://a", Some("/app/")),
            ("/=https://[::1]:8443", "/", "https://[::1]:8443", None),
            ("/a=wss://a/b=c", "/a", "wss://a", Some("/b=c")),
            ("/a%20b=http://a", "/a%20b", "http://a", None),
            ("/ws=unix:/run/a.sock", "/ws", "unix:/run/a.sock", None),
            (
                "/ws=unix:/run/a.sock:/app",
                "/ws",
                "unix:/run/a.sock",
                Some("/app"),
            ),
            (
                "/ws=http://unix:/run/a.sock:/",
                "/ws",
                "unix:/run/a.sock",
                Some("/"),
            ),
        ] {
            let spec = RouteSpec::parse(route).unwrap();
            let [only] = &*spec.endpoints else {
                panic!("{spec:?}");
            };
            assert_eq!(
                (&*spec.path, &*only.endpoint, spec.replacement.as_deref()),
                (path, endpoint, replacement)
            );
        }
    }

    #[test]
    fn several_urls_share_a_path() {
        let route = "/ws=http://a:1/app,https://b:2/app weight=2 backup, unix:/c:/app";
        let spec = RouteSpec::parse(route).unwrap();
        let endpoints = spec.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|e| (&*e.endpoint, &*e.options, e.tls))
            .collect();
        assert_eq!(
            endpoints,
            [
                ("http://a:1", "", false),
                ("https://b:2", "weight=2 backup", true),
                ("unix:/c", "", false)
            ]
        );
        assert_eq!(spec.replacement.as_deref(), Some("/app"));
    }

    #[test]
    fn tls_is_told_by_the_scheme() {
        for (endpoint, expected) in [
            ("http://a", false),
            ("ws://https:1", false),
            ("unix:/https://a", false),
            ("https://a", true),
            ("HTTPS://a", true),
            ("wss://a", true),
            ("dns:http://a", false),
            ("dns:https://a", true),
            ("srv:wss://_ws._tcp.a", true),
            ("srv:_ws._tcp.a", false),
            ("file:/https://a", false),
        ] {
            assert_eq!(speaks_tls(endpoint), expected, "{endpoint}");
        }
    }

    #[test]
    fn anything_else_is_named() {
        let path = |path: &str| RouteError::Path(path.to_owned());
        let pattern = |path: &str| RouteError::Pattern(path.to_owned());
        for (route, expected) in [
            ("", RouteError::Form),
            ("/websocket", RouteError::Form),
            ("http://127.0.0.1:9000", RouteError::Form),
            ("=http://a", path("")),
            ("ws=http://a", path("ws")),
            ("/ws?a=http://a", path("/ws?a")),
            ("/ws#a=http://a", path("/ws#a")),
            ("/a b=http://a", path("/a b")),
            ("/é=http://a", path("/é")),
            ("/a/../b=http://a", path("/a/../b")),
            ("/ws=http://a/..", path("/..")),
            ("/ws=unix:/run/a.sock:app", path("app")),
            ("/ws=unix:/run/a.sock:", path("")),
            ("/ws/{id}=http://a", pattern("/ws/{id}")),
            ("/ws/*=http://a", pattern("/ws/*")),
            ("/ws/:id=http://a", pattern("/ws/:id")),
            ("/ws=http://a/?b=c", RouteError::Query),
            ("/ws=http://a?b=c", RouteError::Query),
            ("/ws=http://a/#b", RouteError::Query),
            ("/ws=http://a,http://b?c=d", RouteError::Query),
            ("/ws=http://a/x,http://b/y", RouteError::Paths),
            ("/ws=http://a,http://b/", RouteError::Paths),
        ] {
            assert_eq!(RouteSpec::parse(route), Err(expected), "{route}");
        }
    }
}
