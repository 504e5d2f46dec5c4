//! Has what an acceptor gives watched.

use std::io;
use std::pin::Pin;

use axum_server::accept::Accept;
use wsgate_tls::Watched;

use super::{Connection, KnowsUpgrade};
use crate::limits::Limits;

/// The outermost acceptor of all our listeners.
#[derive(Clone, Debug)]
pub(crate) struct Watching<A> {
    inner: A,
    limits: Limits,
}

// ===== impl Watching =====

impl<A> Watching<A> {
    pub(crate) fn new(inner: A, limits: &Limits) -> Self {
        Self {
            inner,
            limits: limits.clone(),
        }
    }
}

impl<A, I, S> Accept<I, S> for Watching<A>
where
    A: Accept<I, S>,
    A::Future: Send + 'static,
    S: KnowsUpgrade,
{
    type Stream = Watched<A::Stream>;
    type Service = A::Service;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let watch = Box::new(Connection::new(service.upgraded(), &self.limits));
        let accepted = self.inner.accept(stream, service);
        Box::pin(async move {
            let (stream, service) = accepted.await?;
            Ok((Watched::new(stream, watch), service))
        })
    }
}
