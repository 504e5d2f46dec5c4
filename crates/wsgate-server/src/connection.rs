//! What a handler learns about the connection its request came on.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::ConnectInfo;
use http::header::STRICT_TRANSPORT_SECURITY;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use pin_project_lite::pin_project;
use tower_service::Service;
use tracing::debug;

use crate::accept::canonical;
use crate::patience::{self, Asked, Patience};
use crate::watch::{KnowsUpgrade, Upgraded};

/// Makes the service of one connection from the peer's address.
#[derive(Debug)]
pub(crate) struct MakeConnection {
    app: Router,
    scheme: Scheme,
    hsts: Option<HeaderValue>,
    accepted: Option<Accepted>,
}

/// Counts the connections of a worker, and logs the number in the end.
#[derive(Debug)]
struct Accepted {
    worker: usize,
    connections: u64,
}

/// Puts `ConnectInfo<SocketAddr>` and `Scheme` in each request's extensions, and HSTS on each
/// answer. Has no patience with a client that asks over and over and never waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Connection<S> {
    inner: S,
    peer: SocketAddr,
    scheme: Scheme,
    hsts: Option<HeaderValue>,
    upgraded: Upgraded,
    patience: Arc<Patience>,
}

pin_project! {
    pub(crate) struct ResponseFuture<F> {
        // Nothing where patience has ended.
        #[pin]
        inner: Option<F>,
        hsts: Option<HeaderValue>,
        upgraded: Upgraded,
        asked: Option<Asked>,
    }
}

// ===== impl MakeConnection =====

impl MakeConnection {
    pub(crate) fn new(app: Router, scheme: Scheme, hsts: Option<HeaderValue>) -> Self {
        Self {
            // As axum's own make-services do: settle the routes once, not at each request.
            app: app.with_state(()),
            scheme,
            hsts,
            accepted: None,
        }
    }

    /// Has the connections counted, which are those of this worker.
    pub(crate) fn counting_for(self, worker: usize) -> Self {
        Self {
            accepted: Some(Accepted {
                worker,
                connections: 0,
            }),
            ..self
        }
    }
}

impl Service<SocketAddr> for MakeConnection {
    type Response = Connection<Router>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        if let Some(accepted) = &mut self.accepted {
            accepted.connections += 1;
        }
        ready(Ok(Connection {
            inner: self.app.clone(),
            // A handler that compares addresses with a list would have to know otherwise.
            peer: canonical(peer),
            scheme: self.scheme.clone(),
            hsts: self.hsts.clone(),
            upgraded: Upgraded::default(),
            patience: Arc::default(),
        }))
    }
}

// ===== impl Accepted =====

impl Drop for Accepted {
    fn drop(&mut self) {
        let Self {
            worker,
            connections,
        } = *self;
        debug!(
            worker,
            connections, "a worker has accepted its last connection"
        );
    }
}

// ===== impl Connection =====

impl<S> Connection<S> {
    /// Whose it is, where another one only passes it on.
    pub(crate) fn came_from(&mut self, client: SocketAddr) {
        self.peer = canonical(client);
    }
}

impl<S, B, R> Service<Request<B>> for Connection<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(self.scheme.clone());
        let hsts = self.hsts.clone();
        // An HTTP/1.1 client that does not wait gives its connection up.
        if request.version() != Version::HTTP_2 {
            return ResponseFuture {
                inner: Some(self.inner.call(request)),
                hsts,
                upgraded: self.upgraded.clone(),
                asked: None,
            };
        }
        let asked = self.patience.ask(self.peer);
        ResponseFuture {
            inner: asked.is_some().then(|| self.inner.call(request)),
            hsts,
            upgraded: self.upgraded.clone(),
            asked,
        }
    }
}

impl<S> KnowsUpgrade for Connection<S> {
    fn upgraded(&self) -> Upgraded {
        self.upgraded.clone()
    }
}

// ===== impl ResponseFuture =====

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = match this.inner.as_pin_mut() {
            Some(inner) => ready!(inner.poll(cx))?,
            None => patience::refusal(),
        };
        // Only HTTP/1.1 has it.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            this.upgraded.set();
        }
        if let Some(asked) = this.asked.take() {
            asked.answered();
        }
        if let Some(value) = this.hsts.take() {
            response
                .headers_mut()
                .entry(STRICT_TRANSPORT_SECURITY)
                .or_insert(value);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;

    use super::*;

    #[tokio::test]
    async fn an_answer_keeps_the_hsts_of_its_own() {
        let own = || async { [(STRICT_TRANSPORT_SECURITY, "max-age=1")] };
        let app = Router::new()
            .route("/own", get(own))
            .route("/", get(|| async {}));
        let hsts = HeaderValue::from_static("max-age=9");
        let mut make = MakeConnection::new(app, Scheme::HTTPS, Some(hsts));
        let mut service = make.call(([192, 0, 2, 1], 1).into()).await.unwrap();

        for (path, expected) in [("/own", "max-age=1"), ("/", "max-age=9")] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = service.call(request).await.unwrap();
            let sent = response.headers().get_all(STRICT_TRANSPORT_SECURITY);
            assert_eq!(sent.iter().collect::<Vec<_>>(), [expected]);
        }
    }
}
