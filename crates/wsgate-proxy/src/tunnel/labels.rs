use tracing::Span;
use wsgate_layer::handshake::Kind;

use crate::upstream::Lease;

/// Which tunnel it is, for the log.
#[derive(Debug)]
pub(crate) struct Labels {
    /// The client's address.
    pub(crate) client: Box<str>,
    pub(crate) route: Box<str>,
    pub(crate) kind: Kind,
    /// Names the endpoint, and holds the tunnel's place there until the tunnel ends.
    pub(crate) lease: Lease,
    /// Where the handshake was served, if that is known: not a span that lasts no longer than that.
    pub(crate) parent: Option<Box<Span>>,
}

// ===== impl Labels =====

impl Labels {
    /// The span for what is said of the tunnel, made each time. One that lived as long as the tunnel
    /// would keep half a kilobyte in the subscriber, and be entered and left with each message.
    pub(super) fn span(&self) -> Span {
        tracing::info_span!(
            parent: self.parent.as_ref().and_then(|p| p.id()),
            "tunnel",
            client = &*self.client,
            route = &*self.route,
            endpoint = %self.lease.endpoint(),
            protocol = match self.kind {
                Kind::Upgrade => "HTTP/1.1",
                Kind::ExtendedConnect => "HTTP/2",
            },
        )
    }
}
