//! How clients show who they are.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;

use crate::error::{ServerError, ServerErrorKind};
use crate::tls::Pem;

/// Client certificate authentication.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) ca: Pem,
    pub(super) required: bool,
}

/// What clients are held to, as it was read. Two that are equal let in the same clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    roots: Vec<CertificateDer<'static>>,
    required: bool,
}

// ===== impl Clients =====

impl Clients {
    pub(super) fn read(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<(Check, Arc<dyn ClientCertVerifier>), ServerError> {
        let refuse = |why| {
            ServerError::new(
                ServerErrorKind::Certificate,
                format!("the client CA certificate {} {why}", self.ca),
            )
        };
        let check = Check {
            roots: self.ca.certificates()?,
            required: self.required,
        };
        let mut roots = RootCertStore::empty();
        for certificate in &check.roots {
            roots
                .add(certificate.clone())
                .map_err(|error| refuse("cannot be used to check clients by").because(error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        let verifier = builder
            .build()
            .map_err(|error| refuse("cannot be used to check clients by").because(error))?;
        Ok((check, verifier))
    }
}
