use std::{
    net::SocketAddr,
    sync::Once,
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, SEC_WEBSOCKET_KEY, UPGRADE},
};
use hyper::ext::Protocol;
use tower_service::Service;

use super::{ResponseFuture, Settings, forwarded, future::Asked, hop_by_hop};
use crate::{
    client,
    handshake::{self, Kind, Offer},
};

/// The service of [`UpgradeHeadersLayer`](super::UpgradeHeadersLayer).
#[derive(Clone, Debug)]
pub struct UpgradeHeaders<S> {
    inner: S,
    settings: Settings,
}

// ===== impl UpgradeHeaders =====

impl<S> UpgradeHeaders<S> {
    pub(super) const fn new(inner: S, settings: Settings) -> Self {
        Self { inner, settings }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for UpgradeHeaders<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: From<String>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Request<ReqBody>) -> Self::Future {
        let asked = self.settings.translate(&mut req);
        ResponseFuture::new(self.inner.call(req), asked)
    }
}

// ===== impl Settings =====

impl Settings {
    /// Turns the request into the one to send on, and keeps what its answer is held to.
    fn translate<B>(&self, req: &mut Request<B>) -> Asked {
        // Both look at fields that are about to go.
        let kind = Kind::of(req);
        let host = client_host(req.uri(), req.headers().get(HOST));
        let scheme = client::scheme(req);
        let peer = client::peer_addr(req.extensions());
        warn_without_peer(peer);

        let headers = req.headers_mut();
        hop_by_hop::strip(headers);
        let hop = forwarded::Hop {
            peer: peer.map(|p| p.ip()),
            scheme: &scheme,
            host: host.as_ref(),
        };
        forwarded::set(headers, &hop, &self.trusted);
        if let Some(host) = self.host.clone().or(host) {
            headers.insert(HOST, host);
        }

        let Some(kind) = kind else {
            return Asked::Nothing;
        };
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        // What it says of the body is said by there being none (RFC 9112 6.3).
        headers.remove(CONTENT_LENGTH);
        if kind == Kind::ExtendedConnect {
            // An HTTP/2 client sends no key (RFC 8441 5), and no HTTP/1.1 server does without.
            headers.insert(SEC_WEBSOCKET_KEY, handshake::new_key());
            join_cookies(headers);
            *req.method_mut() = Method::GET;
            *req.version_mut() = Version::HTTP_11;
            req.extensions_mut().remove::<Protocol>();
        }
        Asked::Handshake(kind, Offer::of(req.headers()))
    }
}

/// The Host that the client asked for. The URI's authority, which an HTTP/2 request and an
/// absolute-form one have, goes before the field (RFC 9112 3.2.2, RFC 9113 8.3.1).
fn client_host(uri: &Uri, field: Option<&HeaderValue>) -> Option<HeaderValue> {
    let authority = uri.authority();
    let host = authority.map(|a| {
        a.as_str()
            .rsplit_once('@')
            .map_or(a.as_str(), |(_, host)| host)
    });
    host.and_then(|h| HeaderValue::from_str(h).ok())
        .or_else(|| field.cloned())
}

/// HTTP/2 clients send each cookie in a field of its own, to compress it better; an HTTP/1.1 server
/// expects one field with all of them (RFC 9113 8.2.3). Empty ones are left out: no value ends with a
/// space (RFC 9110 5.5).
fn join_cookies(headers: &mut HeaderMap) {
    let cookies = headers.get_all(COOKIE);
    if cookies.iter().nth(1).is_some() {
        let cookies = cookies.iter().map(HeaderValue::as_bytes);
        let cookies: Vec<_> = cookies.filter(|cookie| !cookie.is_empty()).collect();
        let joined = HeaderValue::from_bytes(&cookies.join(&b"; "[..]));
        headers.insert(
            COOKIE,
            joined.expect("field values with `; ` between are one"),
        );
    }
}

fn warn_without_peer(peer: Option<SocketAddr>) {
    static WARNED: Once = Once::new();
    if peer.is_none() {
        WARNED.call_once(|| {
            tracing::warn!(
                "requests do not tell their client's address, so that X-Forwarded-For can't be \
                 set: serve with `into_make_service_with_connect_info::<SocketAddr>()`, as \
                 wsgate's own server does"
            );
        });
    }
}
