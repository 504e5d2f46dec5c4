use std::sync::Arc;

use tracing::Span;

use super::{Closed, Handshake, Opened, Ping, Refused, Traffic};
use crate::tunnel::Limit;

/// Is told what becomes of WebSockets. Every method does nothing by default.
///
/// Each [`handshake`](Self::handshake) is followed by exactly one [`opened`](Self::opened) or
/// [`refused`](Self::refused), and each `opened` by exactly one [`closed`](Self::closed), also when
/// tasks are cancelled or panic.
///
/// The methods run on the tasks of the connection and of the handler, some of them while those are
/// dropped. So they must neither block nor panic; what takes time belongs on a task of its own.
pub trait Observer: Send + Sync + 'static {
    /// The span of this WebSocket. The handler answers the handshake in it, and observers are told
    /// everything in it. Of several observers, the first that has one gives it. Default: none.
    ///
    /// Where it does not [last](Self::span_lasts), this is called again for whatever is told later. Such
    /// a span has to name its [parent](Handshake::parent): by then another span may be the current one.
    fn span(&self, handshake: &Handshake<'_>) -> Span {
        let _ = handshake;
        Span::none()
    }

    /// Whether the [span](Self::span) is kept until the WebSocket has ended, as distributed traces want it.
    /// Else it ends with the handshake, and what is told after that has one of its own each time, so
    /// that an open WebSocket has none in the subscriber's memory. Default: yes.
    fn span_lasts(&self) -> bool {
        true
    }

    /// A handshake has come in, and goes to the handler next.
    fn handshake(&self, handshake: &Handshake<'_>) {
        let _ = handshake;
    }

    /// No WebSocket has come of it.
    fn refused(&self, handshake: &Handshake<'_>, refused: &Refused<'_>) {
        let _ = (handshake, refused);
    }

    /// The WebSocket is open: accepted, and its stream at hand.
    fn opened(&self, handshake: &Handshake<'_>, opened: &Opened) {
        let _ = (handshake, opened);
    }

    /// Whether [`traffic`](Self::traffic) is to be told. Asked once for each WebSocket, when it opens:
    /// where nobody wants it, that is 96 bytes less and no timer. Default: yes.
    fn wants_traffic(&self) -> bool {
        true
    }

    /// Something has passed since the last time. Told every 10 s while there is something to tell, and
    /// once more before [`closed`](Self::closed), so that a counter rises while a WebSocket is open,
    /// and not by a day's worth when it ends.
    fn traffic(&self, handshake: &Handshake<'_>, traffic: &Traffic) {
        let _ = (handshake, traffic);
    }

    /// A peer has answered a ping of the keepalive.
    fn ping(&self, handshake: &Handshake<'_>, ping: &Ping) {
        let _ = (handshake, ping);
    }

    /// A limit was met, whatever came of it: made to wait, refused, ended.
    fn limit(&self, handshake: &Handshake<'_>, limit: Limit) {
        let _ = (handshake, limit);
    }

    /// The WebSocket has ended: the handler has let go of it.
    fn closed(&self, handshake: &Handshake<'_>, closed: &Closed<'_>) {
        let _ = (handshake, closed);
    }
}

// ===== impl Observer =====

/// So that the app can keep one and ask it.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn span(&self, handshake: &Handshake<'_>) -> Span {
        (**self).span(handshake)
    }

    fn span_lasts(&self) -> bool {
        (**self).span_lasts()
    }

    fn handshake(&self, handshake: &Handshake<'_>) {
        (**self).handshake(handshake);
    }

    fn refused(&self, handshake: &Handshake<'_>, refused: &Refused<'_>) {
        (**self).refused(handshake, refused);
    }

    fn opened(&self, handshake: &Handshake<'_>, opened: &Opened) {
        (**self).opened(handshake, opened);
    }

    fn wants_traffic(&self) -> bool {
        (**self).wants_traffic()
    }

    fn traffic(&self, handshake: &Handshake<'_>, traffic: &Traffic) {
        (**self).traffic(handshake, traffic);
    }

    fn ping(&self, handshake: &Handshake<'_>, ping: &Ping) {
        (**self).ping(handshake, ping);
    }

    fn limit(&self, handshake: &Handshake<'_>, limit: Limit) {
        (**self).limit(handshake, limit);
    }

    fn closed(&self, handshake: &Handshake<'_>, closed: &Closed<'_>) {
        (**self).closed(handshake, closed);
    }
}
