//! What a client that speaks plain HTTP is told: the same place, by https.

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, LOCATION, UPGRADE};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

/// How a request in plain HTTP reached us, and so which port its redirect names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    /// On the listener that exists to redirect. The client's own port is the wrong one.
    OnRedirectPort {
        /// The port on which clients reach the https listener.
        https_port: u16,
    },
    /// On the port that speaks TLS. The port that the client used, in its Host field, is right:
    /// it is the public one even where a router maps ports.
    OnTlsPort {
        /// The port for a Host field without one.
        https_port: u16,
    },
}

/// The answer to a request that came in plain HTTP.
///
/// A redirect keeps method and body (308) and is not cached: it is cheap, and a remembered one
/// outlives a change of configuration. Making https permanent is the work of HSTS, which tells
/// the browser for how long. `Location` is https for a WebSocket handshake too: clients that
/// follow redirects at all follow them with their HTTP client, and RFC 6455 4.1 leaves it open.
pub(crate) fn answer(head: &Parts, came: PlainHttp) -> Response<String> {
    let Some(authority) = target(head, came) else {
        return respond(
            StatusCode::BAD_REQUEST,
            None,
            "This service is reached by https only, and the request names no host to send you \
             to: its Host field is missing or malformed.\n"
                .to_owned(),
        );
    };
    let path = head
        .uri
        .path_and_query()
        .map(|path| path.as_str())
        // `OPTIONS *` and CONNECT name no path.
        .filter(|path| path.starts_with('/'))
        .unwrap_or("/");
    let location = format!("https://{authority}{path}");

    let why = match came {
        PlainHttp::OnRedirectPort { .. } => "This service is reached by https only.",
        PlainHttp::OnTlsPort { .. } => {
            "This port speaks TLS, and your request came in plain HTTP: \
             the address needs https:// in front."
        }
    };
    let body = if asks_for_websocket(head) {
        format!(
            "{why}\nA WebSocket is opened with wss:// here, not ws://: wss://{authority}{path}\n"
        )
    } else {
        format!("{why}\nGo to {location}\n")
    };

    match HeaderValue::try_from(location) {
        Ok(location) => respond(StatusCode::PERMANENT_REDIRECT, Some(location), body),
        Err(_) => respond(StatusCode::BAD_REQUEST, None, body),
    }
}

/// Host and port of the https twin; the port is left out where it is https's own.
fn target(head: &Parts, came: PlainHttp) -> Option<String> {
    let asked = match head.uri.authority() {
        Some(authority) => authority.clone(),
        None => Authority::try_from(head.headers.get(HOST)?.as_bytes()).ok()?,
    };
    // `user@host` has no place in a Host field (RFC 9110 7.2), and sends a reader elsewhere
    // than it seems to.
    if asked.host().is_empty() || asked.as_str().contains('@') {
        return None;
    }
    let port = match came {
        PlainHttp::OnRedirectPort { https_port } => https_port,
        PlainHttp::OnTlsPort { https_port } => asked.port_u16().unwrap_or(https_port),
    };
    Some(with_port(asked.host(), port))
}

/// `host:port`, or `host` alone for https's own port.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    if port == HTTPS_PORT {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    }
}

/// RFC 6455 4.2.1: the request carries an Upgrade field that includes "websocket".
fn asks_for_websocket(head: &Parts) -> bool {
    head.headers.get_all(UPGRADE).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    })
}

fn respond(status: StatusCode, location: Option<HeaderValue>, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(FIXED_FIELDS);
    if let Some(location) = location {
        headers.insert(LOCATION, location);
    }
    response
}

const FIXED_FIELDS: [(HeaderName, HeaderValue); 4] = [
    (
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // The next request is for another port.
    (CONNECTION, HeaderValue::from_static("close")),
    // The body repeats what the client sent; it is never anything else than text.
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
];

const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const REDIRECT_443: PlainHttp = PlainHttp::OnRedirectPort { https_port: 443 };
    const REDIRECT_8443: PlainHttp = PlainHttp::OnRedirectPort { https_port: 8443 };
    const TLS_8443: PlainHttp = PlainHttp::OnTlsPort { https_port: 8443 };

    fn head(uri: &str, fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn the_location_names_the_right_port() {
        #[track_caller]
        fn check(came: PlainHttp, uri: &str, host: &str, location: &str) {
            let response = answer(&head(uri, &[("host", host)]), came);
            assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
            assert_eq!(response.headers()[LOCATION], location);
            assert_eq!(response.headers()[CONNECTION], "close");
            assert!(response.body().contains(location), "{}", response.body());
        }
        check(REDIRECT_443, "/", "example.com", "https://example.com/");
        check(
            REDIRECT_443,
            "/a?b=c",
            "example.com:80",
            "https://example.com/a?b=c",
        );
        check(
            REDIRECT_8443,
            "/a",
            "example.com:8080",
            "https://example.com:8443/a",
        );
        check(REDIRECT_8443, "/", "[::1]:8080", "https://[::1]:8443/");
        check(
            TLS_8443,
            "/a",
            "example.com:8443",
            "https://example.com:8443/a",
        );
        // A router that maps 4443 to us.
        check(
            TLS_8443,
            "/a",
            "example.com:4443",
            "https://example.com:4443/a",
        );
        check(TLS_8443, "/a", "example.com:443", "https://example.com/a");
        check(TLS_8443, "/a", "example.com", "https://example.com:8443/a");
        // The absolute form wins over Host (RFC 9112 3.2.2).
        check(
            REDIRECT_443,
            "http://a.test/x",
            "b.test",
            "https://a.test/x",
        );
        check(REDIRECT_443, "*", "example.com", "https://example.com/");
    }

    #[test]
    fn a_websocket_handshake_is_told_to_use_wss() {
        #[track_caller]
        fn check(upgrade: &str, expected: bool) {
            let fields = [("host", "example.com"), ("upgrade", upgrade)];
            let body = answer(&head("/ws", &fields), REDIRECT_443).into_body();
            assert_eq!(body.contains("wss://example.com/ws"), expected, "{body}");
        }
        check("websocket", true);
        check("WebSocket", true);
        check("h2c, websocket", true);
        check("h2c", false);
        check("websocketish", false);
    }

    #[test]
    fn without_a_usable_host_it_says_so() {
        #[track_caller]
        fn check(fields: &[(&str, &str)]) {
            let response = answer(&head("/", fields), REDIRECT_443);
            assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            assert!(!response.headers().contains_key(LOCATION));
            assert!(response.body().contains("Host"));
        }
        check(&[]);
        check(&[("host", "")]);
        check(&[("host", "a b")]);
        check(&[("host", "user@example.com")]);
        check(&[("host", "example.com/path")]);
    }
}
