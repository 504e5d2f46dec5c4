//! How clients show who they are.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::error::{ServerError, ServerErrorKind};
use crate::tls::Pem;

/// Client certificate authentication.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    pub(super) ca: Pem,
    pub(super) required: bool,
}

// ===== impl Clients =====

impl Clients {
    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
        let refuse = |why| {
            ServerError::new(
                ServerErrorKind::Certificate,
                format!("the client CA certificate {} {why}", self.ca),
            )
        };
        let mut roots = RootCertStore::empty();
        for certificate in self.ca.certificates()? {
            roots
                .add(certificate)
                .map_err(|error| refuse("cannot be used to check clients by").because(error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        builder
            .build()
            .map_err(|error| refuse("cannot be used to check clients by").because(error))
    }
}
