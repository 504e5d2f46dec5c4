use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use wsgate_layer::{KeepaliveLayer, OriginPolicy, UpgradeHeadersLayer, client::TrustedProxies};

use crate::{Endpoint, UpstreamTls, WebSocketProxy, path::PathRule};

/// What a proxy was told, every part checked when it was told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) endpoint: Endpoint,
    /// Its name. Every tunnel has it.
    pub(crate) upstream: Arc<str>,
    /// `Some` for every endpoint with TLS.
    pub(crate) tls: Option<UpstreamTls>,
    pub(crate) connect_timeout: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) path: PathRule,
    /// What to send in place of the client's Host.
    pub(crate) host: Option<HeaderValue>,
    pub(crate) origin: OriginPolicy,
    pub(crate) trusted: TrustedProxies,
    pub(crate) upstream_keepalive: Option<KeepaliveLayer>,
}

// ===== impl Config =====

impl Config {
    pub(crate) fn new(endpoint: Endpoint, tls: Option<UpstreamTls>) -> Self {
        Self {
            upstream: endpoint.to_string().into(),
            endpoint,
            tls,
            connect_timeout: WebSocketProxy::DEFAULT_CONNECT_TIMEOUT,
            handshake_timeout: WebSocketProxy::DEFAULT_HANDSHAKE_TIMEOUT,
            path: PathRule::default(),
            host: None,
            origin: OriginPolicy::same_origin(),
            trusted: TrustedProxies::none(),
            upstream_keepalive: None,
        }
    }

    pub(crate) fn headers(&self) -> UpgradeHeadersLayer {
        let layer = UpgradeHeadersLayer::new().trusted_proxies(self.trusted.clone());
        match &self.host {
            Some(host) => layer.host(host.clone()),
            None => layer,
        }
    }
}
