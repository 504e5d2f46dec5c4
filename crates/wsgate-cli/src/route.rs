//! `PATH=URL`, what one `--route` says.

use axum::http::uri::PathAndQuery;

/// What a `--route` says, taken apart. That the endpoint is one is for the library to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteSpec {
    /// The route serves this path and what is beneath it.
    pub(crate) path: String,
    /// The URL as it was written.
    pub(crate) url: String,
    /// Where the upstream listens: the URL without its path.
    pub(crate) endpoint: String,
    /// What takes the place of `path` on the way to the upstream.
    pub(crate) replacement: Option<String>,
    /// Whether the upstream speaks TLS.
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
}

// ===== impl RouteSpec =====

impl RouteSpec {
    pub(crate) fn parse(route: &str) -> Result<Self, RouteError> {
        let (path, url) = route.split_once('=').ok_or(RouteError::Form)?;
        if path.contains(['{', '}', '*']) || path.split('/').any(|s| s.starts_with(':')) {
            return Err(RouteError::Pattern(path.to_owned()));
        }
        let (endpoint, replacement) = split(url);
        let path = checked(path)?;
        if endpoint.contains(['?', '#']) || replacement.is_some_and(|r| r.contains(['?', '#'])) {
            return Err(RouteError::Query);
        }
        Ok(Self {
            path,
            url: url.to_owned(),
            endpoint: endpoint.to_owned(),
            replacement: replacement.map(checked).transpose()?,
            tls: speaks_tls(endpoint),
        })
    }
}

/// As the library has it, to which HTTPS is https.
fn speaks_tls(endpoint: &str) -> bool {
    let scheme = endpoint.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("https") || s.eq_ignore_ascii_case("wss"))
}

/// The endpoint, and the path behind it if there is one.
fn split(url: &str) -> (&str, Option<&str>) {
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
            assert_eq!(
                (&*spec.path, &*spec.endpoint, spec.replacement.as_deref()),
                (path, endpoint, replacement)
            );
        }
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
            ("/ws=http://a/a b", path("/a b")),
            ("/ws=unix:/run/a.sock:app", path("app")),
            ("/ws=unix:/run/a.sock:", path("")),
            ("/ws/{id}=http://a", pattern("/ws/{id}")),
            ("/ws/*=http://a", pattern("/ws/*")),
            ("/ws/:id=http://a", pattern("/ws/:id")),
            ("/ws=http://a/?b=c", RouteError::Query),
            ("/ws=http://a?b=c", RouteError::Query),
            ("/ws=http://a/#b", RouteError::Query),
        ] {
            assert_eq!(RouteSpec::parse(route), Err(expected), "{route}");
        }
    }
}
