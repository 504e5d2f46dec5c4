use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::{
    Request,
    header::{HOST, ORIGIN},
    uri::Scheme,
};

use crate::{
    OriginPolicy,
    client::{TrustedProxies, X_FORWARDED_HOST, X_FORWARDED_PROTO},
};

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
fn an_origin_may_be_required_of_every_policy() {
    let trusted = TrustedProxies::none();
    for policy in [OriginPolicy::same_origin(), OriginPolicy::any()] {
        let strict = policy.clone().require_origin();
        let mut req = request(Scheme::HTTPS, "example.com", "https://example.com");
        assert_eq!(strict.check(&req, &trusted), Ok(()));
        req.headers_mut().remove(ORIGIN);
        assert_eq!(policy.check(&req, &trusted), Ok(()));
        let error = strict.check(&req, &trusted).unwrap_err();
        assert_eq!((error.origin(), error.host()), (None, "example.com"));
    }
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
