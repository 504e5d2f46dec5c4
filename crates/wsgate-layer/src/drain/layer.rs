use std::sync::Arc;

use tower_layer::Layer;

use super::{Drainable, shared::Shared};

/// A layer whose WebSockets a [`Drain`](super::Drain) counts and ends, from
/// [`Drain::layer`](super::Drain::layer).
///
/// While the drain goes on, handshakes are answered with 503, with `Retry-After`, and with
/// [`Cause::Drain`](crate::tunnel::Cause::Drain) in the response's extensions for those who build
/// answers of their own. Any other request passes untouched.
#[derive(Clone, Debug)]
pub struct DrainLayer {
    shared: Arc<Shared>,
}

// ===== impl DrainLayer =====

impl DrainLayer {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl<S> Layer<S> for DrainLayer {
    type Service = Drainable<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Drainable::new(inner, Arc::clone(&self.shared))
    }
}
