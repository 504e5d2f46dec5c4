use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use pin_project_lite::pin_project;

use super::OriginError;

pin_project! {
    /// The future of [`Origin`](super::Origin).
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Passed { #[pin] inner: F },
        // Until it is answered.
        Refused { error: Option<OriginError> },
    }
}

// ===== impl ResponseFuture =====

impl<F> ResponseFuture<F> {
    pub(super) const fn passed(inner: F) -> Self {
        Self {
            state: State::Passed { inner },
        }
    }

    pub(super) const fn refused(error: OriginError) -> Self {
        Self {
            state: State::Refused { error: Some(error) },
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<String>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Passed { inner } => inner.poll(cx),
            StateProj::Refused { error } => {
                let error = error.take().expect("not polled again after it was ready");
                Poll::Ready(Ok(forbidden(error)))
            }
        }
    }
}

fn forbidden<B: From<String>>(error: OriginError) -> Response<B> {
    let mut res = Response::new(B::from(format!("{error}\n")));
    *res.status_mut() = StatusCode::FORBIDDEN;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    res.headers_mut().insert(CONTENT_TYPE, text);
    res.extensions_mut().insert(error);
    res
}
