use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{
        ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
    },
    uri::{Authority, Scheme},
};
use hyper::ext::Protocol;

use super::{Kind, VERSION, key::is_key, tokens};

/// Holds a request to the rules for an opening handshake: RFC 6455 4.2.1 over HTTP/1.1, RFC 8441 5
/// over HTTP/2.
///
/// # Errors
///
/// The first [`Refusal`] that applies.
pub fn check<B>(req: &Request<B>) -> Result<Kind, Refusal> {
    let headers = req.headers();
    let kind = match req.version() {
        Version::HTTP_11 => check_upgrade(req)?,
        Version::HTTP_2 => check_extended_connect(req)?,
        _ => return Err(Refusal::HttpVersion),
    };
    if !has_path(req.uri()) {
        return Err(Refusal::Target);
    }
    if !has_one_host(req) {
        return Err(Refusal::Host);
    }
    if has_body(headers) {
        return Err(Refusal::Body);
    }
    match tokens::only(headers, &SEC_WEBSOCKET_VERSION) {
        Some(version) if version == VERSION => Ok(kind),
        _ => Err(Refusal::Version),
    }
}

/// Why a request is not a handshake that can be served.
///
/// `Display` is the sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 400: neither HTTP/1.1 nor HTTP/2.
    #[error("a WebSocket needs HTTP/1.1 or HTTP/2")]
    HttpVersion,
    /// 405: over HTTP/1.1, not a GET.
    #[error("a WebSocket handshake is a GET request")]
    NotGet,
    /// 405: over HTTP/2, not a CONNECT.
    #[error(
        "this is a WebSocket endpoint; over HTTP/2 its handshake is a CONNECT request with \
         `:protocol: websocket` (RFC 8441)"
    )]
    NotConnect,
    /// 426: no `Upgrade: websocket`.
    #[error(
        "this is a WebSocket endpoint and the request has no `Upgrade: websocket`: open it with a \
         WebSocket client; if it was one, a proxy in between dropped the field (in nginx: \
         `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;`)"
    )]
    NoUpgrade,
    /// 400: `Upgrade: websocket` without `Connection: Upgrade`.
    #[error(
        "the request has `Upgrade: websocket` but no `Connection: Upgrade`: if the client sent it, \
         a proxy in between dropped it (in nginx: `proxy_set_header Connection \"Upgrade\";`)"
    )]
    NoConnectionUpgrade,
    /// 400: a CONNECT without `:protocol: websocket`.
    #[error("this CONNECT does not ask for `:protocol: websocket` (RFC 8441)")]
    Protocol,
    /// 426: `Sec-WebSocket-Version` is not exactly 13.
    #[error("the one version of the WebSocket protocol served here is 13")]
    Version,
    /// 400: no single `Sec-WebSocket-Key` with 16 bytes in base64.
    #[error("a handshake has one `Sec-WebSocket-Key`: 16 bytes in base64")]
    Key,
    /// 400: a target without a path, such as `*`, or of another scheme than http and https (RFC 6455
    /// 4.2.1, RFC 8441 5).
    #[error("a handshake asks for a path that begins with `/`, by http or https")]
    Target,
    /// 400: no Host, more than one, or one that is no host (RFC 9112 3.2); or another one than the
    /// target's (RFC 9113 8.3.1).
    #[error("a handshake asks for one host, in `Host` or over HTTP/2 in `:authority`")]
    Host,
    /// 400: a handshake has no body.
    #[error("a WebSocket handshake has no body")]
    Body,
}

// ===== impl Refusal =====

impl Refusal {
    /// The status that fits: 400, 405 or 426.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotGet | Self::NotConnect => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::HttpVersion
            | Self::NoConnectionUpgrade
            | Self::Protocol
            | Self::Key
            | Self::Target
            | Self::Host
            | Self::Body => StatusCode::BAD_REQUEST,
        }
    }

    /// The whole answer, as the RFCs want it: `Sec-WebSocket-Version: 13` always (RFC 6455 4.4),
    /// `Allow` with 405 (RFC 9110 15.5.6), `Upgrade` with 426 (RFC 9110 15.5.22) where the request
    /// came over HTTP/1.1, and the sentence as its body.
    #[must_use]
    pub fn to_response<B: From<String>>(self, version: Version) -> Response<B> {
        let mut res = Response::new(B::from(format!("{self}\n")));
        *res.status_mut() = self.status();
        let headers = res.headers_mut();
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        match self {
            Self::NotGet => {
                headers.insert(ALLOW, HeaderValue::from_static("GET"));
            }
            Self::NotConnect => {
                headers.insert(ALLOW, HeaderValue::from_static("CONNECT"));
            }
            // HTTP/2 has no Upgrade field (RFC 9113 8.2.2).
            _ if self.status() == StatusCode::UPGRADE_REQUIRED && version != Version::HTTP_2 => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            }
            _ => {}
        }
        res
    }
}

fn check_upgrade<B>(req: &Request<B>) -> Result<Kind, Refusal> {
    let headers = req.headers();
    if req.method() != Method::GET {
        return Err(Refusal::NotGet);
    }
    if !tokens::contains(headers, &UPGRADE, "websocket") {
        return Err(Refusal::NoUpgrade);
    }
    if !tokens::contains(headers, &CONNECTION, "upgrade") {
        return Err(Refusal::NoConnectionUpgrade);
    }
    if !tokens::only(headers, &SEC_WEBSOCKET_KEY).is_some_and(is_key) {
        return Err(Refusal::Key);
    }
    Ok(Kind::Upgrade)
}

fn check_extended_connect<B>(req: &Request<B>) -> Result<Kind, Refusal> {
    if req.method() != Method::CONNECT {
        return Err(Refusal::NotConnect);
    }
    match req.extensions().get::<Protocol>() {
        Some(p) if p.as_str().eq_ignore_ascii_case("websocket") => Ok(Kind::ExtendedConnect),
        _ => Err(Refusal::Protocol),
    }
}

/// `GET * HTTP/1.1` and `GET example.com:80 HTTP/1.1` parse, and ask for nothing that could be proxied.
fn has_path(uri: &Uri) -> bool {
    let is_known = |s: &Scheme| *s == Scheme::HTTP || *s == Scheme::HTTPS;
    let path = uri.path_and_query();
    uri.scheme().is_none_or(is_known) && path.is_some_and(|p| p.as_str().starts_with('/'))
}

/// Of two hosts the one side might take the first and the other the last, and each believe that the
/// other had checked it.
fn has_one_host<B>(req: &Request<B>) -> bool {
    let fields = req.headers().get_all(HOST);
    let mut fields = fields.iter().map(|h| Authority::try_from(h.as_bytes()));
    match (req.uri().authority(), fields.next(), fields.next()) {
        (None, Some(Ok(host)), None) => is_host(&host),
        (Some(authority), None, None) => is_host(authority),
        (Some(authority), Some(Ok(host)), None) => is_host(authority) && is_same(authority, &host),
        _ => false,
    }
}

/// Whether this is the name or the address of a host, with its port perhaps. A URI allows more, user
/// names for one, and the commas and semicolons that tell hosts apart in `X-Forwarded-Host` and
/// `Forwarded`.
fn is_host(authority: &Authority) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~%:[]".contains(&b);
    !authority.host().is_empty() && authority.as_str().bytes().all(is_plain)
}

/// Whether both name the same host, one of them perhaps with the port that goes without saying.
fn is_same(a: &Authority, b: &Authority) -> bool {
    let same_port = match (a.port_u16(), b.port_u16()) {
        (None, port) | (port, None) => matches!(port, None | Some(80 | 443)),
        (a, b) => a == b,
    };
    a.host().eq_ignore_ascii_case(b.host()) && same_port
}

/// A body on a handshake would be read by one side as a request and by the other as frames: the
/// door to request smuggling.
fn has_body(headers: &HeaderMap) -> bool {
    let lengths = headers.get_all(CONTENT_LENGTH);
    headers.contains_key(TRANSFER_ENCODING) || lengths.iter().any(|length| length != "0")
}
