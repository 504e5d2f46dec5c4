//! Who sends: RFC 6455 5.1 gives the two ends different rules.

/// The end of a connection that sends the bytes in question.
///
/// Seen from a gateway, what goes from the browser to the upstream is sent by the client all the
/// way, and what comes back is sent by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that opened the connection. It masks every frame.
    Client,
    /// The end that accepted the connection. It masks none.
    Server,
}

// ===== impl Role =====

impl Role {
    /// Whether this end masks what it sends.
    #[inline]
    pub const fn masks(self) -> bool {
        matches!(self, Self::Client)
    }
}
