//! One check of one endpoint.

use std::{future::Future, io, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{CONNECTION, HOST, USER_AGENT},
    uri::PathAndQuery,
};
use http_body_util::Empty;
use tokio::time::timeout;

use super::{Ask, HealthCheck, websocket};
use crate::{
    connect::{UpstreamStream, connect},
    error::UpstreamFailure,
    forward::{UpstreamBody, exchange},
    upstream::Member,
};

/// Why an endpoint did not pass.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckFailure {
    #[error("did not pass within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Upstream(#[from] UpstreamFailure),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("answered {0} where a handshake wants 101")]
    NotOpened(StatusCode),
    #[error("broke off before its pong")]
    BrokeOff(#[from] io::Error),
    #[error("closed the WebSocket before its pong")]
    Closed,
    #[error("sent what are no frames before its pong")]
    NoFrames,
}

// ===== impl CheckFailure =====

impl CheckFailure {
    /// Whether the endpoint was not even asked, for want of something on our side.
    pub(super) const fn is_ours(&self) -> bool {
        matches!(self, Self::Upstream(failure) if failure.exhausted().is_some())
    }
}

// ===== impl HealthCheck =====

impl HealthCheck {
    /// Asks an endpoint once.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the connection.
    pub(super) async fn ask(&self, member: &Member) -> Result<(), CheckFailure> {
        match &self.ask {
            Ask::Tcp => {
                self.in_time(self.connected(member)).await?;
            }
            Ask::Http { path, .. } => {
                let res = self.in_time(self.answered(member, path)).await?;
                // Its body is of no interest: dropped, it closes the connection.
                let status = res.status();
                if !self.ask.expects(status) {
                    return Err(CheckFailure::Status(status));
                }
            }
            Ask::WebSocket { path } => {
                let open = self.in_time(async {
                    let stream = self.connected(member).await?;
                    let mut open = websocket::open(stream, self.request(member, path)).await?;
                    open.ping().await?;
                    Ok(open)
                });
                // It has passed, however it takes the Close.
                open.await?.leave().await;
            }
        }
        Ok(())
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, CheckFailure>>,
    ) -> Result<T, CheckFailure> {
        let asked = timeout(self.timeout, asked).await;
        asked.map_err(|_| CheckFailure::Timeout(self.timeout))?
    }

    async fn connected(&self, member: &Member) -> Result<UpstreamStream, CheckFailure> {
        let stream = connect(&member.endpoint, member.tls.as_ref()).await;
        Ok(stream.map_err(UpstreamFailure::connecting)?)
    }

    async fn answered(
        &self,
        member: &Member,
        path: &PathAndQuery,
    ) -> Result<Response<UpstreamBody>, CheckFailure> {
        let stream = self.connected(member).await?;
        let mut req = self.request(member, path);
        let close = HeaderValue::from_static("close");
        req.headers_mut().insert(CONNECTION, close);
        let res = exchange(stream, req).await;
        Ok(res.map_err(UpstreamFailure::exchanging)?)
    }

    fn request(&self, member: &Member, path: &PathAndQuery) -> Request<Empty<Bytes>> {
        let host = self.host.clone();
        let host = host.unwrap_or_else(|| member.endpoint.host());
        let mut req = Request::new(Empty::new());
        *req.method_mut() = Method::GET;
        *req.uri_mut() = path.clone().into();
        req.headers_mut().insert(HOST, host);
        let agent = HeaderValue::from_static("wsgate (health check)");
        req.headers_mut().insert(USER_AGENT, agent);
        req
    }
}
