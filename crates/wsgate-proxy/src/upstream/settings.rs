use super::Http2;
use crate::{Endpoint, EndpointError, UpstreamTls};

/// An endpoint as a member of an [`Upstream`](super::Upstream).
///
/// # Example
///
/// ```
/// use wsgate_proxy::upstream::EndpointSettings;
///
/// let large = EndpointSettings::new("http://10.0.0.2:9000")?
///     .weight(4)
///     .max_tunnels(20_000);
/// # Ok::<(), wsgate_proxy::EndpointError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    pub(super) endpoint: Endpoint,
    pub(super) tls: Option<UpstreamTls>,
    pub(super) weight: u32,
    pub(super) max_tunnels: u32,
    pub(super) is_backup: bool,
    pub(super) http2: Http2,
}

// ===== impl EndpointSettings =====

impl EndpointSettings {
    /// An endpoint with weight 1 and no limit: `http://` or `ws://`, `https://` or `wss://`, or
    /// `unix:`.
    ///
    /// # Errors
    ///
    /// [`EndpointError`] if it is none of these, or has a path.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Ok(endpoint.parse::<Endpoint>()?.into())
    }

    /// Its share of the tunnels, relative to the others'. Default: 1. At least 1: to give an endpoint
    /// no more tunnels, [drain](super::Upstream::drain) it.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.weight = weight.max(1);
        self
    }

    /// The most live tunnels it is given. Default: no limit.
    #[must_use]
    pub const fn max_tunnels(mut self, max: u32) -> Self {
        self.max_tunnels = max;
        self
    }

    /// It gets tunnels only while no other can take one, as nginx's `backup`.
    #[must_use]
    pub const fn backup(mut self) -> Self {
        self.is_backup = true;
        self
    }

    /// How its certificate is checked. Default: with the operating system's roots, for `https://` and
    /// `wss://`; means nothing for the others.
    #[must_use]
    pub fn tls(mut self, tls: UpstreamTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Whether its tunnels go over HTTP/2, many on one connection. Default: [`Http2::Off`].
    #[must_use]
    pub const fn http2(mut self, http2: Http2) -> Self {
        self.http2 = http2;
        self
    }

    /// The endpoint itself.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// With the roots that its scheme asks for.
    pub(super) fn with_roots(mut self) -> Result<Self, EndpointError> {
        if self.endpoint.is_tls() && self.tls.is_none() {
            let tls = UpstreamTls::system_roots();
            self.tls = Some(tls.map_err(|e| EndpointError::Tls(self.endpoint.to_string(), e))?);
        }
        Ok(self)
    }
}

impl From<Endpoint> for EndpointSettings {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            tls: None,
            weight: 1,
            max_tunnels: u32::MAX,
            is_backup: false,
            http2: Http2::Off,
        }
    }
}
