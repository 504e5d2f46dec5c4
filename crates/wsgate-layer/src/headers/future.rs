use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, UPGRADE},
};
use pin_project_lite::pin_project;

use super::hop_by_hop;
use crate::handshake::{AnswerError, Kind, Offer};

pin_project! {
    /// The future of [`UpgradeHeaders`](super::UpgradeHeaders).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        asked: Asked,
    }
}

/// What the request asked for, before it was translated.
#[derive(Debug)]
pub(super) enum Asked {
    /// No WebSocket.
    Nothing,
    Handshake(Kind, Offer),
}

// ===== impl ResponseFuture =====

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, asked: Asked) -> Self {
        Self { inner, asked }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<String>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let res = ready!(this.inner.poll(cx))?;
        Poll::Ready(Ok(this.asked.translate(res)))
    }
}

// ===== impl Asked =====

impl Asked {
    /// Turns the answer of the service behind into the one that fits what the client asked.
    fn translate<B: From<String>>(&self, mut res: Response<B>) -> Response<B> {
        match self.check(&res) {
            Ok(None) => hop_by_hop::strip(res.headers_mut()),
            Ok(Some(kind)) => open(kind, &mut res),
            Err(error) => return bad_gateway(error),
        }
        res
    }

    /// The kind of handshake that the answer opens, if any, or what is wrong with it.
    fn check<B>(&self, res: &Response<B>) -> Result<Option<Kind>, AnswerError> {
        match self {
            Self::Handshake(kind, offer) if res.status() == StatusCode::SWITCHING_PROTOCOLS => {
                offer.check(res).map(|()| Some(*kind))
            }
            Self::Handshake(kind, _) if kind.is_accepted(res.status()) => {
                Err(AnswerError::Status(res.status().as_u16()))
            }
            Self::Nothing if res.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Err(AnswerError::Unasked)
            }
            _ => Ok(None),
        }
    }
}

/// Writes a good 101 in the words of the client's protocol.
fn open<B>(kind: Kind, res: &mut Response<B>) {
    hop_by_hop::strip(res.headers_mut());
    // Means nothing in an answer that opens a tunnel (RFC 9110 8.6), and over HTTP/2 would end it.
    res.headers_mut().remove(CONTENT_LENGTH);
    match kind {
        Kind::Upgrade => {
            let headers = res.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        Kind::ExtendedConnect => {
            *res.status_mut() = StatusCode::OK;
            // It answers our key, which the client never saw.
            res.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        }
    }
}

fn bad_gateway<B: From<String>>(error: AnswerError) -> Response<B> {
    let mut res = Response::new(B::from(format!(
        "the upstream failed the handshake: {error}\n"
    )));
    *res.status_mut() = StatusCode::BAD_GATEWAY;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    res.headers_mut().insert(CONTENT_TYPE, text);
    res.extensions_mut().insert(error);
    res
}
