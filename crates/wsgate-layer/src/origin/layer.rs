use tower_layer::Layer;

use super::{Origin, OriginPatternError, OriginPolicy};
use crate::client::TrustedProxies;

/// A layer that refuses handshakes of pages that may not open a WebSocket: 403, and the reason as
/// text and in the log.
///
/// Any other request passes untouched. Whoever builds answers of his own finds the
/// [`OriginError`](super::OriginError) in the extensions of the response.
///
/// See the [module](super) for an example.
#[derive(Clone, Debug, Default)]
pub struct OriginLayer {
    policy: OriginPolicy,
    trusted: TrustedProxies,
}

// ===== impl OriginLayer =====

impl OriginLayer {
    /// Lets pass what this policy lets pass.
    #[must_use]
    pub fn new(policy: OriginPolicy) -> Self {
        Self {
            policy,
            trusted: TrustedProxies::none(),
        }
    }

    /// Pages of the host that is asked for: [`OriginPolicy::same_origin`]. The default.
    #[must_use]
    pub fn same_origin() -> Self {
        Self::default()
    }

    /// Pages of these origins and no others, not even the host's own: [`OriginPolicy::allow`].
    ///
    /// # Errors
    ///
    /// [`OriginPatternError`] with the first entry that is no origin.
    pub fn allow<I>(origins: I) -> Result<Self, OriginPatternError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        OriginPolicy::allow(origins).map(Self::new)
    }

    /// Believes what these say about the host, the scheme and the client's address. Default:
    /// [`TrustedProxies::none`].
    ///
    /// Behind a proxy that changes `Host`, pages of the same origin pass only with this.
    #[must_use]
    pub fn trusted_proxies(mut self, trusted: TrustedProxies) -> Self {
        self.trusted = trusted;
        self
    }
}

impl From<OriginPolicy> for OriginLayer {
    fn from(policy: OriginPolicy) -> Self {
        Self::new(policy)
    }
}

impl<S> Layer<S> for OriginLayer {
    type Service = Origin<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Origin::new(inner, self.policy.clone(), self.trusted.clone())
    }
}
