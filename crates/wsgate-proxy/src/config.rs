use std::time::Duration;

use http::HeaderValue;
use wsgate_layer::{KeepaliveLayer, OriginPolicy, UpgradeHeadersLayer, client::TrustedProxies};

use crate::{Endpoint, WebSocketProxy, path::PathRule, tunnel::Patience, upstream::Upstream};

/// What a proxy was told, every part checked when it was told.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) upstream: Upstream,
    pub(crate) connect_timeout: Duration,
    pub(crate) handshake_timeout: Duration,
    pub(crate) refusal_timeout: Duration,
    pub(crate) close_timeout: Duration,
    pub(crate) send_timeout: Duration,
    pub(crate) tcp_timeout: Option<Duration>,
    pub(crate) path: PathRule,
    pub(crate) host: Host,
    pub(crate) origin: OriginPolicy,
    pub(crate) trusted: TrustedProxies,
    pub(crate) upstream_keepalive: Option<KeepaliveLayer>,
}

/// The Host that an upstream is sent.
#[derive(Clone, Debug)]
pub(crate) enum Host {
    /// The client's own.
    Client,
    /// The endpoint's.
    Endpoint,
    Fixed(HeaderValue),
}

// ===== impl Config =====

impl Config {
    pub(crate) fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            connect_timeout: WebSocketProxy::DEFAULT_CONNECT_TIMEOUT,
            handshake_timeout: WebSocketProxy::DEFAULT_HANDSHAKE_TIMEOUT,
            refusal_timeout: WebSocketProxy::DEFAULT_REFUSAL_TIMEOUT,
            close_timeout: WebSocketProxy::DEFAULT_CLOSE_TIMEOUT,
            send_timeout: WebSocketProxy::DEFAULT_SEND_TIMEOUT,
            tcp_timeout: Some(WebSocketProxy::DEFAULT_TCP_TIMEOUT),
            path: PathRule::default(),
            host: Host::Client,
            origin: OriginPolicy::same_origin(),
            trusted: TrustedProxies::none(),
            upstream_keepalive: None,
        }
    }

    /// How long the two sides of a tunnel may take for what.
    pub(crate) fn patience(&self) -> Patience {
        Patience::new(self.close_timeout, self.send_timeout)
    }

    /// What translates handshakes for this endpoint.
    pub(crate) fn headers(&self, endpoint: &Endpoint) -> UpgradeHeadersLayer {
        let layer = UpgradeHeadersLayer::new().trusted_proxies(self.trusted.clone());
        match &self.host {
            Host::Client => layer,
            Host::Endpoint => layer.host(endpoint.host()),
            Host::Fixed(host) => layer.host(host.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit that is off by default is one that hardly anybody has.
    #[tokio::test]
    async fn all_limits_in_time_are_on_by_default() {
        let endpoint = crate::EndpointSettings::new("http://127.0.0.1:1").unwrap();
        let config = Config::new(Upstream::single(endpoint).unwrap());
        let seconds = Duration::from_secs;
        assert_eq!(config.connect_timeout, seconds(5));
        assert_eq!(config.handshake_timeout, seconds(10));
        assert_eq!(config.refusal_timeout, seconds(30));
        assert_eq!(config.patience(), Patience::new(seconds(10), seconds(60)));
        assert_eq!(config.patience(), Patience::default());
        assert_eq!(config.tcp_timeout, Some(seconds(120)));
    }
}
