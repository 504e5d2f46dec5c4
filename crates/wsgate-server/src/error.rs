//! What keeps a server from starting, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why a server could not start, or could not go on.
///
/// The text says what is wrong and what to do; [`source`](StdError::source) carries what the
/// operating system or the TLS library said. [`kind`](Self::kind) is for programs.
#[derive(Debug)]
pub struct ServerError {
    kind: ServerErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The causes of a [`ServerError`] that a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// Another socket listens on that port already.
    AddressInUse,
    /// The operating system does not let this program listen there, as on a port below 1024.
    AddressForbidden,
    /// The address cannot be listened on for another reason: it is not one of this machine, say.
    Address,
    /// A certificate cannot be read, is not one, or does not belong to its key.
    Certificate,
    /// A private key cannot be read, or is not one.
    Key,
    /// The development CA cannot be read or kept.
    DevelopmentCa,
    /// A thread of a [worker](crate::Server::workers), or its runtime, cannot be had.
    Workers,
    /// Settings that contradict each other.
    Configuration,
    /// The server stopped by itself.
    Serve,
}

// ===== impl ServerError =====

impl ServerError {
    /// The cause, for a caller that acts on it.
    pub fn kind(&self) -> ServerErrorKind {
        self.kind
    }

    pub(crate) fn new(kind: ServerErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync + 'static>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Turns a failure to listen on `addr` into advice.
    pub(crate) fn listen(addr: SocketAddr, error: io::Error) -> Self {
        let port = addr.port();
        let (kind, advice) = match error.kind() {
            io::ErrorKind::AddrInUse => (
                ServerErrorKind::AddressInUse,
                format!(
                    "the port is in use by another program: stop that one \
                     (`ss -ltnp 'sport = :{port}'` shows it) or choose another port"
                ),
            ),
            io::ErrorKind::PermissionDenied if port < FIRST_UNPRIVILEGED_PORT => (
                ServerErrorKind::AddressForbidden,
                format!(
                    "ports below {FIRST_UNPRIVILEGED_PORT} need a privilege: give the program \
                     CAP_NET_BIND_SERVICE (`setcap cap_net_bind_service=+ep <program>`, or \
                     AmbientCapabilities=CAP_NET_BIND_SERVICE in its systemd unit) or choose a \
                     higher port"
                ),
            ),
            io::ErrorKind::PermissionDenied => (
                ServerErrorKind::AddressForbidden,
                "the operating system does not allow it: look for a sandbox or a security policy"
                    .to_owned(),
            ),
            io::ErrorKind::AddrNotAvailable => (
                ServerErrorKind::Address,
                "no interface of this machine has that address: 0.0.0.0 or [::] stands for all \
                 of them"
                    .to_owned(),
            ),
            _ => (
                ServerErrorKind::Address,
                "the operating system refuses it".to_owned(),
            ),
        };
        Self::new(kind, format!("cannot listen on {addr}: {advice}")).because(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for ServerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Linux's default for `net.ipv4.ip_unprivileged_port_start`.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(port: u16, cause: io::ErrorKind, kind: ServerErrorKind, advice: &str) {
        let error = ServerError::listen(([192, 0, 2, 1], port).into(), cause.into());
        assert_eq!(error.kind(), kind);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("cannot listen on 192.0.2.1:{port}: ")),
            "{text}"
        );
        assert!(text.contains(advice), "{text}");
        assert!(error.source().is_some());
    }

    #[test]
    fn a_failure_to_listen_says_what_to_do() {
        use ServerErrorKind::{Address, AddressForbidden, AddressInUse};
        use io::ErrorKind::{AddrInUse, AddrNotAvailable, Other, PermissionDenied};

        check(8443, AddrInUse, AddressInUse, "choose another port");
        check(
            443,
            PermissionDenied,
            AddressForbidden,
            "CAP_NET_BIND_SERVICE",
        );
        check(8443, PermissionDenied, AddressForbidden, "security policy");
        check(8443, AddrNotAvailable, Address, "0.0.0.0");
        check(8443, Other, Address, "refuses");
    }
}
