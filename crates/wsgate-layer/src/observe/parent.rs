use http::Extensions;
use tracing::Span;

/// The span in which a handler is to log what becomes of a WebSocket after its handshake.
///
/// While it answers the handshake, a handler is in the WebSocket's [span](super::Observer::span). Where
/// that does not [last](super::Observer::span_lasts), a handler that keeps it, or makes a child of it,
/// keeps it alive for as long. This is its parent, and takes its place.
///
/// # Example
///
/// ```
/// use http::Request;
/// use tracing::Span;
/// use wsgate_layer::observe::SpanParent;
///
/// let req = Request::new(());
/// let parent: Span = SpanParent::of(req.extensions());
/// // Later, perhaps on another task:
/// let span = tracing::info_span!(parent: &parent, "room", number = 7);
/// ```
#[derive(Clone, Debug)]
pub struct SpanParent(Span);

// ===== impl SpanParent =====

impl SpanParent {
    pub(super) const fn new(span: Span) -> Self {
        Self(span)
    }

    /// The one of this request, or the current span where no layer that observes says otherwise.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Span {
        let told = extensions.get::<Self>();
        told.map_or_else(Span::current, |parent| parent.0.clone())
    }
}
