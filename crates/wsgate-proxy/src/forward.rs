//! One connection to the upstream for each request, or one stream of a connection over HTTP/2: the
//! handshake sent, the answer read.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
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
use tokio::time::{Instant, timeout};
use tower_service::Service;

use crate::{
    config::Config,
    connect::{UpstreamStream, connect},
    error::UpstreamFailure,
    upstream::{Lease, Member, RefusalBody, Route},
};

/// The service behind the header layer: connects, sends the request, and gives the answer.
#[derive(Clone, Debug)]
pub(crate) struct Forward {
    config: Arc<Config>,
    member: Arc<Member>,
    /// When all has to be over, whatever the other timeouts are.
    deadline: Instant,
    /// The target to ask for, in origin form. The header layer in front reads the client's own.
    path: PathAndQuery,
}

/// What an upstream's answer comes with.
pub(crate) enum UpstreamBody {
    /// A text of our own, in place of an answer that could not be passed on.
    Text(String),
    /// The body of an ordinary answer, which streams for as long as it is polled.
    Streaming(Box<Streaming>),
    /// The same over HTTP/2.
    Refusal(Box<RefusalBody>),
    /// The connection, after a 101.
    Upgraded(Box<UpstreamParts>),
}

/// An upgraded connection.
#[derive(Debug)]
pub(crate) struct UpstreamParts {
    pub(crate) io: UpstreamStream,
    /// What came with the 101.
    pub(crate) early_data: Bytes,
}

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
    Ended(Option<hyper::Result<Upgraded>>),
}

type Running = Pin<Box<dyn Future<Output = hyper::Result<Upgraded>> + Send>>;

type Upgraded = Parts<TokioIo<UpstreamStream>>;

/// To how many connections over HTTP/2 a handshake is sent, where those before it had not processed
/// it: the endpoint is restarting, or connections are lost one after the other.
const MAX_STREAMS: usize = 3;

/// The most that an upstream may say in the head of its answer, over both protocols. hyper would hold
/// 400 KiB of one that never ends, and h2 16 MiB.
pub(crate) const MAX_ANSWER_HEAD: usize = 64 * 1024;

// ===== impl Forward =====

impl Forward {
    pub(crate) fn new(
        config: Arc<Config>,
        lease: &Lease,
        deadline: Instant,
        path: PathAndQuery,
    ) -> Self {
        Self {
            config,
            member: Arc::clone(lease.member()),
            deadline,
            path,
        }
    }

    async fn send(
        self,
        mut req: Request<Empty<Bytes>>,
    ) -> Result<Response<UpstreamBody>, UpstreamFailure> {
        *req.uri_mut() = Uri::from(self.path.clone());
        let mut streams = 0;
        loop {
            let limit = self.within(self.config.connect_timeout);
            let route = timeout(limit, self.route())
                .await
                .map_err(|_| UpstreamFailure::ConnectTimeout(limit))??;
            let limit = self.within(self.config.handshake_timeout);
            let late = |_| UpstreamFailure::HandshakeTimeout(limit);
            match route {
                Route::Http1(stream) => {
                    let stream = stream.expect("`Self::route` has connected");
                    if let Some(limit) = self.config.tcp_timeout {
                        stream.end_when_silent(limit);
                    }
                    let answer = timeout(limit, exchange(stream, req)).await;
                    return answer.map_err(late)?.map_err(UpstreamFailure::exchanging);
                }
                Route::Http2(place) => {
                    streams += 1;
                    let is_secure = self.member.endpoint.is_tls();
                    let answer = timeout(limit, place.shake_hands(&req, is_secure)).await;
                    match answer.map_err(late)? {
                        Err(failed) if failed.may_be_repeated && streams < MAX_STREAMS => {}
                        answer => return answer.map_err(|failed| failed.failure),
                    }
                }
            }
        }
    }

    /// A connection to speak HTTP/1.1 on, or a place on one over HTTP/2.
    async fn route(&self) -> Result<Route, UpstreamFailure> {
        let Member {
            endpoint,
            tls,
            http2,
            ..
        } = &*self.member;
        if let Some(pool) = http2 {
            // Others may wait for the same connection, and have more time left.
            match pool.route(self.config.connect_timeout).await? {
                Route::Http1(None) => {}
                route => return Ok(route),
            }
        }
        let stream = connect(endpoint, tls.as_ref()).await;
        let stream = stream.map_err(UpstreamFailure::connecting)?;
        Ok(Route::Http1(Some(stream)))
    }

    /// What is left of this time.
    fn within(&self, timeout: Duration) -> Duration {
        timeout.min(self.deadline.saturating_duration_since(Instant::now()))
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
pub(crate) async fn exchange(
    stream: UpstreamStream,
    req: Request<Empty<Bytes>>,
) -> hyper::Result<Response<UpstreamBody>> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_ANSWER_HEAD)
        .handshake(TokioIo::new(stream))
        .await?;
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
        UpstreamBody::Upgraded(Box::new(UpstreamParts {
            io: parts.io.into_inner(),
            early_data: parts.read_buf,
        }))
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
    fn poll_upgraded(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<Upgraded>> {
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
