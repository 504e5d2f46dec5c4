//! A handshake that is accepted is a clean one when it is sent on, and its answer is held to it.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll, Waker},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, uri::Scheme};
use tower_layer::Layer;
use tower_service::Service;
use wsgate_layer::{
    UpgradeHeadersLayer,
    client::TrustedProxies,
    handshake::{self, Kind, accept_key},
};

use super::{
    forwarded,
    head::{
        PROXY, STRANGER, TRUSTED, came_from, extended_connect, lines, members, request,
        request_sent_on, response,
    },
};

/// The client service behind the layer: it notes what it is asked, and answers as it was told.
struct Upstream<'a> {
    asked: &'a mut Option<Request<()>>,
    answer: Option<Response<String>>,
}

/// How a handshake came, from a byte.
struct Way {
    h2: bool,
    peer: SocketAddr,
    trusts: bool,
    host: Option<HeaderValue>,
    scheme: Scheme,
    /// Whether the upstream gets the key right.
    right_key: bool,
}

/// What is set here, or not for `Connection` to name away.
const OURS: [&str; 9] = [
    "connection",
    "upgrade",
    "host",
    "origin",
    "cookie",
    "authorization",
    "content-length",
    "x-real-ip",
    "forwarded",
];

/// A byte that says how it came, a request's head, and the head of an answer.
///
/// # Panics
///
/// When the law is broken.
pub(crate) fn is_sent_on_clean(bytes: &[u8]) {
    let Some((flags, bytes)) = bytes.split_first() else {
        return;
    };
    let way = Way::of(*flags);
    let Some((mut req, behind)) = request(bytes) else {
        return;
    };
    if way.h2 {
        let Some(connect) = extended_connect(req) else {
            return;
        };
        req = connect;
    }
    came_from(&mut req, way.peer, way.scheme.clone());
    let accepted = handshake::check(&req);
    let (sent, res) = forward(&way, &req, response(behind));

    is_stripped(&req, &sent);
    forwarded::is_told(&req, &sent, &way.trusted(), way.peer, &way.scheme);
    if let Ok(kind) = accepted {
        assert_eq!(Kind::of(&req), Some(kind));
        is_clean(&way, &req, &sent);
        if let Some(res) = res {
            is_answered(kind, &req, &res);
        }
    } else if let Some(res) = res
        && Kind::of(&req).is_none()
    {
        assert_ne!(res.status(), StatusCode::SWITCHING_PROTOCOLS, "{req:?}");
    }
}

/// Nothing that belongs to the client's connection is sent on, whether or not it is a handshake.
fn is_stripped(req: &Request<()>, sent: &Request<()>) {
    let named = members(req.headers(), "connection");
    let named = named
        .into_iter()
        .filter_map(|name| str::from_utf8(name).ok());
    let fixed = [
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "http2-settings",
    ];
    for name in named.chain(fixed) {
        let name = name.to_ascii_lowercase();
        let ours = name.starts_with("x-forwarded-")
            || name.starts_with("sec-websocket-")
            || OURS.contains(&&*name);
        assert!(
            ours || !sent.headers().contains_key(&*name),
            "{name} of {req:?}"
        );
    }
    for name in ["connection", "upgrade"] {
        assert!(lines(sent.headers(), name).len() <= 1);
    }
}

/// A handshake that was accepted has one Host and one key, asks for a WebSocket and for nothing else, and
/// is read back from the wire as what it is.
fn is_clean(way: &Way, req: &Request<()>, sent: &Request<()>) {
    let headers = sent.headers();
    assert_eq!(
        (sent.method(), sent.version()),
        (&Method::GET, Version::HTTP_11)
    );
    assert_eq!(lines(headers, "connection"), [b"Upgrade"]);
    assert_eq!(lines(headers, "upgrade"), [b"websocket"]);
    assert_eq!(lines(headers, "sec-websocket-version"), [b"13"]);
    assert!(lines(headers, "cookie").len() <= 1 || !way.h2);
    let key = lines(headers, "sec-websocket-key");
    if !way.h2 {
        assert_eq!(key, lines(req.headers(), "sec-websocket-key"));
    }
    let host = lines(headers, "host");
    match (&way.host, req.uri().authority()) {
        (Some(host_instead), _) => assert_eq!(host, [host_instead.as_bytes()]),
        (None, Some(authority)) => assert_eq!(host, [authority.as_str().as_bytes()]),
        (None, None) => assert_eq!(host, lines(req.headers(), "host")),
    }

    let (again, behind) = request_sent_on(&wire(sent)).map_or_else(
        || panic!("{sent:?} is no request"),
        |(again, behind)| (again, behind.len()),
    );
    assert_eq!(behind, 0, "something stands behind {sent:?}");
    assert_eq!(again.headers(), headers);
    // As the upstream sees it: with an origin-form target.
    assert_eq!(handshake::check(&again), Ok(Kind::Upgrade), "{again:?}");
}

/// What opens a WebSocket answers the key and chooses of what was offered.
fn is_answered(kind: Kind, req: &Request<()>, res: &Response<String>) {
    let headers = res.headers();
    for name in [
        "keep-alive",
        "transfer-encoding",
        "te",
        "trailer",
        "proxy-connection",
    ] {
        assert!(!headers.contains_key(name), "{res:?}");
    }
    if !kind.is_accepted(res.status()) {
        assert!(lines(headers, "connection").is_empty() && lines(headers, "upgrade").is_empty());
        assert_ne!(res.status(), StatusCode::SWITCHING_PROTOCOLS);
        return;
    }
    match kind {
        Kind::Upgrade => {
            assert_eq!(lines(headers, "connection"), [b"Upgrade"]);
            assert_eq!(lines(headers, "upgrade"), [b"websocket"]);
            let key = lines(req.headers(), "sec-websocket-key")[0];
            let accept = accept_key(key);
            assert_eq!(lines(headers, "sec-websocket-accept"), [accept.as_bytes()]);
        }
        Kind::ExtendedConnect => {
            for name in ["connection", "upgrade", "sec-websocket-accept"] {
                assert!(!headers.contains_key(name), "{res:?}");
            }
        }
    }
    let chosen = lines(headers, "sec-websocket-protocol");
    assert!(chosen.len() <= 1);
    let offered = members(req.headers(), "sec-websocket-protocol");
    assert!(
        chosen.iter().all(|c| offered.contains(c)),
        "{res:?} to {req:?}"
    );
    let name = |extension: &[u8]| {
        let end = extension.iter().position(|byte| *byte == b';');
        let name = &extension[..end.unwrap_or(extension.len())];
        name.trim_ascii().to_ascii_lowercase()
    };
    let offered = members(req.headers(), "sec-websocket-extensions");
    let offered: Vec<_> = offered.into_iter().map(name).collect();
    let chosen = members(headers, "sec-websocket-extensions");
    assert!(
        chosen.into_iter().all(|c| offered.contains(&name(c))),
        "{res:?} to {req:?}"
    );
}

/// Lets the layer forward it. No answer stands for one that cannot be had.
fn forward(
    way: &Way,
    req: &Request<()>,
    answer: Option<Response<String>>,
) -> (Request<()>, Option<Response<String>>) {
    let mut asked = None;
    let layer = UpgradeHeadersLayer::new().trusted_proxies(way.trusted());
    let layer = match way.host.clone() {
        Some(host) => layer.host(host),
        None => layer,
    };
    let answers = answer.is_some();
    let answer = answer.map(|mut answer| {
        if way.right_key
            && let [_] = lines(answer.headers(), "sec-websocket-accept")[..]
        {
            // What the fuzzer could never guess; the service puts in the right one.
            answer
                .headers_mut()
                .insert("sec-websocket-accept", HeaderValue::from_static("right"));
        }
        answer
    });
    let mut service = layer.layer(Upstream {
        asked: &mut asked,
        answer,
    });
    let future = service.call(req.clone());
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(res)) = pin!(future).poll(&mut cx) else {
        panic!("the service is ready at once and never fails");
    };
    drop(service);
    let asked = asked.expect("the layer asks the service behind");
    (asked, answers.then_some(res))
}

/// What a client would write to the upstream.
fn wire(sent: &Request<()>) -> Vec<u8> {
    let path = sent
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let mut wire = format!("{} {path} HTTP/1.1\r\n", sent.method()).into_bytes();
    for (name, value) in sent.headers() {
        wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    wire.extend(b"\r\n");
    wire
}

// ===== impl Upstream =====

impl Service<Request<()>> for Upstream<'_> {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<()>) -> Self::Future {
        let mut res = self.answer.take().unwrap_or_default();
        if lines(res.headers(), "sec-websocket-accept") == [b"right"]
            && let Some(key) = req.headers().get("sec-websocket-key")
        {
            let accept = accept_key(key.as_bytes());
            res.headers_mut().insert("sec-websocket-accept", accept);
        }
        *self.asked = Some(req);
        ready(Ok(res))
    }
}

// ===== impl Way =====

impl Way {
    fn of(flags: u8) -> Self {
        let is = |bit: u8| flags & (1 << bit) != 0;
        Self {
            h2: is(0),
            peer: if is(1) { PROXY } else { STRANGER },
            trusts: is(2),
            host: is(3).then(|| HeaderValue::from_static("upstream.internal:9000")),
            scheme: if is(4) { Scheme::HTTPS } else { Scheme::HTTP },
            right_key: !is(5),
        }
    }

    fn trusted(&self) -> TrustedProxies {
        match self.trusts {
            true => TrustedProxies::new(TRUSTED).expect("they are networks"),
            false => TrustedProxies::none(),
        }
    }
}
