//! What is logged of connections that never became HTTP, and what to do about them.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustls::{AlertDescription, Error as TlsError, PeerIncompatible};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::accept::{PassedOn, Refusal, canonical};
use crate::proxy_protocol::HeaderFault;
use crate::throttle::Throttle;

/// Logs failures of accepting: each kind within its own bounds, so that the noise of scanners
/// does not hide a client that was set up wrongly.
#[derive(Debug)]
pub(crate) struct HandshakeLog {
    /// It is tried again twenty times a second.
    listener: Throttle,
    plain_http: Throttle,
    explained: Throttle,
    proxy_protocol: Throttle,
}

// ===== impl HandshakeLog =====

impl Default for HandshakeLog {
    fn default() -> Self {
        Self {
            listener: Throttle::one(),
            plain_http: Throttle::default(),
            explained: Throttle::default(),
            proxy_protocol: Throttle::default(),
        }
    }
}

impl HandshakeLog {
    /// `peer` is unknown when the listening socket itself failed.
    pub(crate) fn note(&self, peer: Option<&SocketAddr>, error: &io::Error) {
        let now = Instant::now();
        let Some(peer) = peer.copied().map(canonical) else {
            if let Some(suppressed) = self.listener.admit(now) {
                warn!(
                    %error,
                    suppressed,
                    "cannot accept connections: when too many files are open, raise the limit \
                     (`ulimit -n`, or LimitNOFILE= in the systemd unit)"
                );
            }
            return;
        };
        let cause = error.get_ref();
        // What a client behind a balancer does is told of the client.
        let passed_on = cause.and_then(|cause| cause.downcast_ref::<PassedOn>());
        let (peer, error) = match passed_on {
            Some(PassedOn { client, error }) => (*client, error),
            None => (peer, error),
        };
        let cause = error.get_ref();
        match cause.and_then(|cause| cause.downcast_ref::<Refusal>()) {
            Some(Refusal::PlainHttp) => {
                if let Some(suppressed) = self.plain_http.admit(now) {
                    info!(%peer, suppressed, "plain HTTP on the TLS port: redirected to https");
                }
            }
            Some(Refusal::TimedOut) => {
                self.explain(
                    now,
                    peer,
                    error,
                    "the client, or the network to it, is too slow",
                );
            }
            Some(Refusal::ProxyHeader(
                HeaderFault::Absent
                | HeaderFault::Late
                | HeaderFault::TooLong
                | HeaderFault::Malformed,
            )) => self.refused(
                now,
                peer,
                error,
                "connections from this address have to begin with a PROXY protocol header: switch \
                 it on there, or take the address from those that send one",
            ),
            Some(Refusal::StrangersHeader) => self.refused(
                now,
                peer,
                error,
                "if this is your balancer, add its address to those that send a PROXY protocol \
                 header; if it is not, somebody tried to pass for another",
            ),
            // Port checks of load balancers and the like: by day and by night, and no harm.
            Some(refusal) => debug!(%peer, "{refusal}"),
            None => match cause.and_then(|cause| cause.downcast_ref::<TlsError>()) {
                Some(error) => match hint(error) {
                    Some(hint) => self.explain(now, peer, error, hint),
                    None => debug!(%peer, %error, "TLS handshake failed"),
                },
                None => debug!(%peer, %error, "the client left during the TLS handshake"),
            },
        }
    }

    fn refused(&self, now: Instant, peer: SocketAddr, error: &io::Error, hint: &str) {
        if let Some(suppressed) = self.proxy_protocol.admit(now) {
            warn!(%peer, %error, suppressed, "connection refused: {hint}");
        }
    }

    fn explain(&self, now: Instant, peer: SocketAddr, error: impl fmt::Display, hint: &str) {
        if let Some(suppressed) = self.explained.admit(now) {
            warn!(%peer, %error, suppressed, "TLS handshake failed: {hint}");
        }
    }
}

/// What an error of the handshake says about how client or server are set up.
fn hint(error: &TlsError) -> Option<&'static str> {
    Some(match error {
        TlsError::AlertReceived(alert) => match alert {
            AlertDescription::UnknownCA => {
                "the client does not trust this certificate: either its issuer is not in the \
                 client's list (a development or private CA), or the chain file lacks the \
                 intermediate certificate"
            }
            AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
                "the client does not accept this certificate: it may not cover the name that \
                 was asked for, or its issuer is not trusted there"
            }
            AlertDescription::DecryptError => {
                "the client found a signature wrong: it may know another issuer of the same name, \
                 such as a CA that was made anew"
            }
            AlertDescription::CertificateExpired => {
                "the client says that the certificate has expired: renew it, or set the \
                 client's clock"
            }
            AlertDescription::CertificateRevoked => {
                "the certificate was revoked by its issuer: get a new one"
            }
            AlertDescription::UnrecognisedName => {
                "the client does not accept the name in this certificate"
            }
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
                "the client supports no version or cipher in common with this server (TLS 1.2 \
                 and 1.3)"
            }
            AlertDescription::NoApplicationProtocol => {
                "the client speaks neither HTTP/2 nor HTTP/1.1"
            }
            _ => return None,
        },
        TlsError::NoApplicationProtocol => {
            "the client offers no protocol (ALPN) in common with this server"
        }
        TlsError::NoCertificatesPresented => {
            "the client brought no certificate, and this server requires one"
        }
        TlsError::InvalidCertificate(_) => {
            "the client's certificate is not one that this server accepts: it must be valid and \
             signed by the CA that is set for clients"
        }
        TlsError::PeerIncompatible(
            PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon
            | PeerIncompatible::ExtendedMasterSecretExtensionRequired,
        ) => "the client is too old for TLS 1.2 as it is used today, or set up not to use it",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    #[test]
    fn an_error_that_tells_something_has_a_hint() {
        #[track_caller]
        fn check(error: &TlsError, text: &str) {
            let hint = hint(error).expect("a hint");
            assert!(hint.contains(text), "{hint}");
        }
        let alert = TlsError::AlertReceived;

        check(&alert(AlertDescription::UnknownCA), "does not trust");
        check(&alert(AlertDescription::BadCertificate), "does not accept");
        check(
            &alert(AlertDescription::CertificateUnknown),
            "does not accept",
        );
        check(&alert(AlertDescription::CertificateExpired), "expired");
        check(&alert(AlertDescription::DecryptError), "same name");
        check(&TlsError::NoApplicationProtocol, "no protocol");
        check(&TlsError::NoCertificatesPresented, "requires one");
        check(
            &TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
            "CA that is set for clients",
        );
        check(
            &PeerIncompatible::Tls12NotOfferedOrEnabled.into(),
            "too old",
        );
    }

    #[test]
    fn noise_has_none() {
        assert_eq!(
            hint(&TlsError::AlertReceived(AlertDescription::UserCanceled)),
            None
        );
        assert_eq!(hint(&TlsError::DecryptError), None);
    }
}
