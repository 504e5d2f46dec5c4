//! A request's life, from the handshake to the tunnel or to the answer that there is none.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{MatchedPath, OriginalUri},
};
use bytes::Bytes;
use http::{
    HeaderMap, Request, Response,
    uri::{PathAndQuery, Scheme},
};
use http_body_util::Empty;
use hyper::upgrade::OnUpgrade;
use tower::{Layer, ServiceExt};
use wsgate_layer::{
    client::{self, TrustedProxies},
    handshake::{self, AnswerError},
    observe::SpanParent,
    tunnel::Tunnel,
};

use crate::{
    config::Config,
    error::{ProxyError, UpstreamFailure},
    exhausted::Exhausted,
    forward::{Forward, UpstreamBody},
    limited::Limited,
    tunnel::{self, Facts, Labels},
    upstream::{Handshake, Lease},
};

/// Makes a tunnel of a handshake, or says why not.
pub(crate) async fn answer(config: Arc<Config>, req: Request<Empty<Bytes>>) -> Response<Body> {
    let version = req.version();
    let client = client(&req, &config.trusted);
    let route = route(&req);
    match open(config, req, &client, &route).await {
        Ok(res) => res,
        Err(error) => {
            error.log(&client, &route);
            error.to_response(version)
        }
    }
}

async fn open(
    config: Arc<Config>,
    mut req: Request<Empty<Bytes>>,
    client: &str,
    route: &str,
) -> Result<Response<Body>, ProxyError> {
    let kind = handshake::check(&req).map_err(ProxyError::Refusal)?;
    config.origin.check(&req, &config.trusted)?;
    let is_layered = req.extensions().get::<Tunnel>().is_some();
    let tunnel = Tunnel::of(req.extensions_mut());
    tunnel.set_upstream(config.upstream.shared_name());
    let parent = SpanParent::of(req.extensions());
    let on_upgrade = req.extensions_mut().remove::<OnUpgrade>();
    let on_upgrade = on_upgrade.ok_or(ProxyError::NoOnUpgrade)?;
    let path = config.path.apply(&original_path(&req))?;

    let (res, lease) = shake_hands(&config, req, path).await?;
    let (head, body) = res.into_parts();
    let body = match body {
        UpstreamBody::Text(text) => Body::from(text),
        UpstreamBody::Streaming(body) => Body::new(Limited::new(body, config.refusal_timeout)),
        UpstreamBody::Refusal(body) => Body::new(Limited::new(body, config.refusal_timeout)),
        UpstreamBody::Upgraded(parts) => {
            let labels = Labels {
                client: client.into(),
                route: route.into(),
                kind,
                lease,
                parent: (!parent.is_disabled()).then(|| Box::new(parent)),
            };
            let facts = Facts {
                labels,
                tunnel,
                is_layered,
                upstream_keepalive: config.upstream_keepalive.clone(),
                patience: config.patience(),
            };
            tunnel::spawn(on_upgrade, *parts, facts);
            Body::empty()
        }
    };
    Ok(Response::from_parts(head, body))
}

/// Sends the handshake to one endpoint after the other, until one gives an answer to pass on.
async fn shake_hands(
    config: &Arc<Config>,
    req: Request<Empty<Bytes>>,
    path: PathAndQuery,
) -> Result<(Response<UpstreamBody>, Lease), ProxyError> {
    let upstream = &config.upstream;
    upstream.start();
    let asked = Asked::of(&req, &config.trusted);
    let (head, body) = req.into_parts();
    let mut tries = upstream.tries();
    upstream.first_endpoints(tries.deadline()).await;
    // A head is copied only where there may be a second try.
    let kept = (!tries.is_single()).then(|| head.clone());
    let handshake = kept.as_ref().map(|kept| asked.handshake(&kept.headers));
    let mut next = tries.next(&asked.handshake(&head.headers));
    let mut head = Some(head);
    let mut failed = ProxyError::NoEndpoint(upstream.name().to_owned());
    while let Some(lease) = next.take() {
        let head = head.take().or_else(|| kept.clone());
        let head = head.expect("a head is kept where there may be a second try");
        let req = Request::from_parts(head, body);
        let forward = Forward::new(config.clone(), &lease, tries.deadline(), path.clone());
        let answer = forwarded(config, &lease, forward, req).await;
        tries.report(&answer);
        next = match &answer {
            Ok(res) if !upstream.retries(res.status()) => None,
            Err(failure) if failure.exhausted().is_some_and(Exhausted::is_everywhere) => None,
            _ => handshake
                .as_ref()
                .and_then(|handshake| tries.next(handshake)),
        };
        match answer {
            Ok(mut res) if next.is_none() => {
                let is_accepted = matches!(res.body(), UpstreamBody::Upgraded(_));
                if let Some(handshake) = handshake.as_ref().filter(|_| is_accepted) {
                    tries.accepted(&lease, handshake, res.headers_mut());
                }
                return Ok((res, lease));
            }
            Ok(res) => tracing::info!(
                upstream = upstream.name(),
                endpoint = %lease.endpoint(),
                status = res.status().as_u16(),
                "an endpoint does not take the handshake: trying the next"
            ),
            Err(failure) => {
                let endpoint = lease.endpoint().clone();
                let failure = ProxyError::Upstream { endpoint, failure };
                if next.is_some() {
                    failure.log_passed_over(upstream.name());
                }
                failed = failure;
            }
        }
    }
    Err(failed)
}

/// Translates the handshake for an endpoint, sends it, and checks the answer.
async fn forwarded(
    config: &Config,
    lease: &Lease,
    forward: Forward,
    req: Request<Empty<Bytes>>,
) -> Result<Response<UpstreamBody>, UpstreamFailure> {
    let headers = config.headers(lease.endpoint());
    let mut res = headers.layer(forward).oneshot(req).await?;
    match res.extensions_mut().remove::<AnswerError>() {
        Some(error) => Err(UpstreamFailure::Answer(error)),
        None => Ok(res),
    }
}

/// What the choice of an endpoint may go by, besides the fields.
struct Asked {
    target: PathAndQuery,
    client: Option<IpAddr>,
    is_secure: bool,
}

impl Asked {
    fn of<B>(req: &Request<B>, trusted: &TrustedProxies) -> Self {
        let peer = client::peer_addr(req.extensions());
        Self {
            target: original_path(req),
            client: peer.map(|p| trusted.client(p.ip(), req.headers())),
            is_secure: client::scheme(req) == Scheme::HTTPS,
        }
    }

    fn handshake<'a>(&'a self, headers: &'a HeaderMap) -> Handshake<'a> {
        Handshake {
            headers,
            path: self.target.path(),
            query: self.target.query(),
            client: self.client,
            is_secure: self.is_secure,
        }
    }
}

/// The address of the client, for the log.
fn client<B>(req: &Request<B>, trusted: &TrustedProxies) -> String {
    let peer = client::peer_addr(req.extensions());
    let client: Option<IpAddr> = peer.map(|p| trusted.client(p.ip(), req.headers()));
    match (peer, client) {
        // Its port tells connections apart that one host has opened.
        (Some(peer), Some(client)) if peer.ip().to_canonical() == client => peer.to_string(),
        (_, Some(client)) => client.to_string(),
        (_, None) => "unknown".to_owned(),
    }
}

/// The route as the router knows it, so that its values stay few.
fn route<B>(req: &Request<B>) -> String {
    let matched = req.extensions().get::<MatchedPath>();
    matched
        .map_or_else(|| req.uri().path(), |m| m.as_str())
        .to_owned()
}

/// The path that the client asked for. A nested router takes its prefix off the request's URI.
fn original_path<B>(req: &Request<B>) -> PathAndQuery {
    let original = req.extensions().get::<OriginalUri>();
    let uri = original.map_or_else(|| req.uri(), |OriginalUri(uri)| uri);
    let path = uri.path_and_query().cloned();
    path.unwrap_or_else(|| PathAndQuery::from_static("/"))
}
