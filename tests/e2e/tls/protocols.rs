//! Which protocol a client and the gateway agree on (ALPN, RFC 7301).

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use wsgate::server::Tls;
use wsgate_tests::certs::TestCa;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{trace, within};

use super::{proxy, tls};

async fn start(adjust: impl FnOnce(Tls) -> Tls) -> (Upstream, Gateway) {
    let ca = TestCa::new();
    let tls = adjust(tls(&ca.leaf(&["localhost"])));
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = Gateway::with_tls(gateway::app(proxy(upstream.addr())), ca, tls).await;
    (upstream, gateway)
}

/// What is agreed on with a client that offers these protocols.
async fn agreed(gateway: &Gateway, offered: &[&str]) -> std::io::Result<Option<String>> {
    let config: Arc<ClientConfig> = gateway.ca().client(offered);
    let socket = TcpStream::connect(gateway.addr()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let handshake = TlsConnector::from(config).connect(name, socket);
    let stream = within("the TLS handshake", handshake).await?;
    let agreed = stream.get_ref().1.alpn_protocol();
    Ok(agreed.map(|name| String::from_utf8(name.to_vec()).unwrap()))
}

#[tokio::test]
async fn http2_goes_before_http1_and_nothing_else_is_spoken() {
    let trace = trace::init();
    let (upstream, gateway) = start(|tls| tls).await;
    for (offered, expected) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        assert_eq!(
            agreed(&gateway, offered).await.unwrap().as_deref(),
            expected,
            "{offered:?}"
        );
    }
    let error = agreed(&gateway, &["spdy/3"]).await.unwrap_err();
    assert_eq!(alert(&error), AlertDescription::NoApplicationProtocol);
    trace
        .until("the client offers no protocol (ALPN) in common", 1)
        .await;
    upstream.ended(0).await;
    gateway.join().await;
}

#[tokio::test]
async fn http2_can_be_left_out() {
    let _trace = trace::init();
    let (upstream, gateway) = start(Tls::without_http2).await;
    let both = agreed(&gateway, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(both.as_deref(), Some("http/1.1"));
    let error = agreed(&gateway, &["h2"]).await.unwrap_err();
    assert_eq!(alert(&error), AlertDescription::NoApplicationProtocol);
    // Upgrades still work.
    gateway
        .target()
        .tungstenite("/websocket")
        .await
        .close(None)
        .await
        .unwrap();
    upstream.ended(1).await;
    gateway.join().await;
}

/// As plain libraries do.
#[tokio::test]
async fn a_client_that_knows_nothing_of_it_speaks_http1() {
    let _trace = trace::init();
    let (upstream, gateway) = start(|tls| tls).await;
    let io = gateway.target().connect(&[]).await;
    let (mut client, _) = client_async(gateway.target().url("/websocket"), io)
        .await
        .unwrap();
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::text("hello")
    );
    client.close(None).await.unwrap();
    while client.next().await.is_some() {}
    upstream.ended(1).await;
    gateway.join().await;
}

#[track_caller]
fn alert(error: &std::io::Error) -> AlertDescription {
    let tls = error.get_ref().and_then(|error| error.downcast_ref());
    let Some(rustls::Error::AlertReceived(alert)) = tls else {
        panic!("expected an alert: {error:?}")
    };
    *alert
}
