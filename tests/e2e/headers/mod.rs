//! The heads of handshakes and of their answers, on both sides of the gateway.

mod answers;
mod fields;
mod forwarded;
mod paths;

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate_tests::RequestHead;
use wsgate_tests::client::{Handshake, Protocol, Target};
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::upstream::{Upstream, script};

/// A gateway before an upstream that takes every handshake.
struct Story {
    upstream: Upstream,
    gateway: Gateway,
}

impl Story {
    async fn start(adjust: impl FnOnce(WebSocketProxy) -> WebSocketProxy) -> Self {
        Self::mounted(|proxy| gateway::app(adjust(proxy))).await
    }

    async fn mounted(mount: impl FnOnce(WebSocketProxy) -> Router) -> Self {
        let upstream = Upstream::tcp(script::echo()).await;
        let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
        let gateway = Gateway::serving(mount(proxy)).await;
        Self { upstream, gateway }
    }

    fn target(&self) -> Target {
        self.gateway.target()
    }

    /// What the upstream gets when this client sends this handshake.
    async fn forwarded(
        &self,
        target: &Target,
        protocol: Protocol,
        handshake: Handshake,
    ) -> RequestHead {
        let before = self.upstream.seen().len();
        let answer = target.visit(protocol, handshake).await;
        answer.unwrap_or_else(|refused| panic!("{protocol:?}: {refused:?}"));
        let seen = self.upstream.seen();
        assert_eq!(seen.len(), before + 1, "one connection a handshake");
        seen[before].request().clone()
    }

    async fn join(self) {
        self.upstream.join().await;
        self.gateway.join().await;
    }
}
