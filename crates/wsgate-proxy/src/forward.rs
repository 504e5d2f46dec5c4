//! One connection to the upstream for each request: the handshake sent, the answer read.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, uri::PathAndQuery};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Empty;
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Parts},
};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tower_service::Service;

use crate::{
    config::Config,
    connect::{UpstreamStream, connect},
    error::UpstreamFailure,
};

/// The service behind the header layer: connects, sends the request, and gives the answer.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    config: Arc<Config>,
    /// The target to ask for, in origin form. The header layer in front reads the client's own.
    path: PathAndQuery,
}

/// What an upstream's answer comes with.
pub(crate) enum UpstreamBody {
    /// A text of our own, in place of an answer that could not be passed on.
    Text(String),
    /// The body of an ordinary answer, which streams for as long as it is polled.
    Streaming(Box<Streaming>),
    /// The connection, after a 101.
    Upgraded(Box<UpstreamParts>),
}

/// An upgraded connection, and what came with the 101.
pub(crate) type UpstreamParts = Parts<TokioIo<UpstreamStream>>;

/// A body, and the connection that it comes from. Dropped, it closes the connection: there is no
/// task that could outlive it.
pub(crate) struct Streaming {
    connection: Connection,
    body: Incoming,
}

/// hyper's end of the connection, to be polled along with whatever waits for it.
enum Connection {
    Running(Running),
    /// After a 101 this is the upgrade. Taken by whoever asks first.
    Ended(Option<hyper::Result<UpstreamParts>>),
}

type Running = Pin<Box<dyn Future<Output = hyper::Result<UpstreamParts>> + Send>>;

// ===== impl Forward =====

impl Forward {
    pub(crate) const fn new(config: Arc<Config>, path: PathAndQuery) -> Self {
        Self { config, path }
    }

    async fn send(
        self,
        mut req: Request<Empty<Bytes>>,
    ) -> Result<Response<UpstreamBody>, UpstreamFailure> {
        *req.uri_mut() = Uri::from(self.path);
        let Config {
            endpoint,
            tls,
            connect_timeout,
            handshake_timeout,
            ..
        } = &*self.config;
        let stream = timeout(*connect_timeout, connect(endpoint, tls.as_ref()))
            .await
            .map_err(|_| UpstreamFailure::ConnectTimeout(*connect_timeout))?
            .map_err(UpstreamFailure::connecting)?;
        timeout(*handshake_timeout, exchange(stream, req))
            .await
            .map_err(|_| UpstreamFailure::HandshakeTimeout(*handshake_timeout))?
            .map_err(UpstreamFailure::exchanging)
    }
}

impl Service<Request<Empty<Bytes>>> for Forward {
    type Response = Response<UpstreamBody>;
    type Error = UpstreamFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<Empty<Bytes>>) -> Self::Future {
        Box::pin(self.clone().send(req))
    }
}

/// Sends the request and reads the head of the answer. hyper passes over any 1xx before a 101.
async fn exchange(
    stream: UpstreamStream,
    req: Request<Empty<Bytes>>,
) -> hyper::Result<Response<UpstreamBody>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut connection = Connection::Running(Box::pin(connection.without_shutdown()));
    let mut answer = pin!(sender.send_request(req));
    let answer = poll_fn(|cx| {
        // Whatever ends the connection ends the answer too, which says why.
        connection.poll(cx);
        answer.as_mut().poll(cx)
    });
    let (head, body) = answer.await?.into_parts();

    let body = if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let parts = poll_fn(|cx| connection.poll_upgraded(cx)).await?;
        UpstreamBody::Upgraded(Box::new(parts))
    } else {
        UpstreamBody::Streaming(Box::new(Streaming { connection, body }))
    };
    Ok(Response::from_parts(head, body))
}

// ===== impl Connection =====

impl Connection {
    /// Lets the connection work.
    fn poll(&mut self, cx: &mut Context<'_>) {
        if let Self::Running(running) = self
            && let Poll::Ready(ended) = running.as_mut().poll(cx)
        {
            *self = Self::Ended(Some(ended));
        }
    }

    /// Waits for the upgrade that a 101 promised.
    fn poll_upgraded(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<UpstreamParts>> {
        self.poll(cx);
        match self {
            Self::Running(_) => Poll::Pending,
            Self::Ended(ended) => Poll::Ready(ended.take().expect("asked for once")),
        }
    }
}

// ===== impl UpstreamBody =====

impl From<String> for UpstreamBody {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

// ===== impl Streaming =====

impl HttpBody for Streaming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // First, as it is what fills the body. Its error reaches the body as well.
        self.connection.poll(cx);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
