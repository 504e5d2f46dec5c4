//! Requests and answers from bytes, as hyper would make them.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version, uri::Scheme,
};
use hyper::ext::Protocol;

/// A stranger's address.
pub(crate) const STRANGER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9)),
    4711,
);

/// An address that is trusted, where any is.
pub(crate) const PROXY: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
    4711,
);

/// The networks of [`PROXY`].
pub(crate) const TRUSTED: [&str; 2] = ["10.0.0.0/8", "fd00::/8"];

/// How many fields a head may have that comes from outside: one with more is none.
const FIELDS: usize = 64;

/// How many one may have that was sent on, to which some were added.
const FIELDS_SENT_ON: usize = FIELDS + 16;

/// A request over HTTP/1.1 and what follows its head.
pub(crate) fn request(bytes: &[u8]) -> Option<(Request<()>, &[u8])> {
    request_sent_on(bytes).filter(|(req, _)| req.headers().len() <= FIELDS)
}

/// The same, as an upstream reads it.
pub(crate) fn request_sent_on(bytes: &[u8]) -> Option<(Request<()>, &[u8])> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_SENT_ON];
    let mut head = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(size)) = head.parse(bytes) else {
        return None;
    };
    let mut req = Request::new(());
    *req.method_mut() = Method::from_bytes(head.method?.as_bytes()).ok()?;
    *req.uri_mut() = head.path?.parse::<Uri>().ok()?;
    *req.version_mut() = match head.version? {
        1 => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    *req.headers_mut() = map(head.headers)?;
    Some((req, &bytes[size..]))
}

/// The same, as it would be over HTTP/2: the method is CONNECT, the Host is the authority, and what
/// belongs to one connection is not there, as h2 refuses it.
pub(crate) fn extended_connect(mut req: Request<()>) -> Option<Request<()>> {
    let host = req.headers_mut().remove("host")?;
    for name in [
        "connection",
        "upgrade",
        "keep-alive",
        "transfer-encoding",
        "proxy-connection",
    ] {
        req.headers_mut().remove(name);
    }
    let uri = Uri::builder()
        .scheme("https")
        .authority(host.as_bytes())
        .path_and_query(req.uri().path_and_query()?.clone());
    *req.uri_mut() = uri.build().ok()?;
    *req.method_mut() = Method::CONNECT;
    *req.version_mut() = Version::HTTP_2;
    req.extensions_mut()
        .insert(Protocol::from_static("websocket"));
    Some(req)
}

/// What the server adds.
pub(crate) fn came_from(req: &mut Request<()>, peer: SocketAddr, scheme: Scheme) {
    req.extensions_mut().insert(ConnectInfo(peer));
    req.extensions_mut().insert(scheme);
}

/// An answer over HTTP/1.1.
pub(crate) fn response(bytes: &[u8]) -> Option<Response<String>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    head.parse(bytes)
        .ok()
        .filter(httparse::Status::is_complete)?;
    let mut res = Response::new(String::new());
    *res.status_mut() = head.code?.try_into().ok()?;
    *res.headers_mut() = map(head.headers)?;
    Some(res)
}

/// The lines of a field, as bytes.
pub(crate) fn lines<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines.map(HeaderValue::as_bytes).collect()
}

/// The members of a list field over all its lines, without white space round them.
pub(crate) fn members<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    let lines = lines(headers, name).into_iter();
    let members = lines.flat_map(|line| line.split(|byte| *byte == b','));
    let members = members.map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty()).collect()
}

fn map(fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    Some(map)
}
