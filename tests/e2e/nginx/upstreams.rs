//! Where the upstream is, and how it is reached; and where clients are sent that come by plain HTTP.

use axum::Router;
use wsgate::WebSocketProxy;
use wsgate::proxy::UpstreamTls;
use wsgate::server::{Pem, Server, Tls};
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Refused, Target};
use wsgate_tests::nginx::classic_location;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

use super::{proxy_to, start_nginx, start_wsgate, with_lines};

#[tokio::test]
async fn a_unix_socket_is_reached_by_both() {
    let _trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("app.sock");
    let upstream = Upstream::unix(&socket, script::echo());
    let socket = format!("unix:{}", socket.display());
    let proxy = WebSocketProxy::to(&socket).unwrap();
    talks_through_both(&format!("http://{socket}"), "", proxy).await;
    assert_eq!(upstream.join().await.len(), 2);
}

#[tokio::test]
async fn an_upstream_with_tls_is_checked_by_both_where_told_to() {
    let _trace = trace::init();
    let (ca, folder) = (TestCa::new(), tempfile::tempdir().unwrap());
    let tls = ca.server_that_verifies(&["backend.internal"], &[]);
    let upstream = Upstream::tls(tls, script::echo()).await;
    let roots = ca.write(folder.path());
    let (cert, key) = ca.leaf(&["gateway.internal"]).write(folder.path(), "own");

    let lines = format!(
        "proxy_ssl_verify on; proxy_ssl_trusted_certificate {}; proxy_ssl_name backend.internal;\
         proxy_ssl_server_name on; proxy_ssl_certificate {}; proxy_ssl_certificate_key {};",
        roots.display(),
        cert.display(),
        key.display()
    );
    let tls = UpstreamTls::ca_file(&roots)
        .and_then(|tls| tls.server_name("backend.internal"))
        .and_then(|tls| tls.client_certificate_files(&cert, &key))
        .unwrap();
    let url = format!("https://{}", upstream.addr());
    let proxy = WebSocketProxy::to_with_tls(&url, tls).unwrap();
    talks_through_both(&url, &lines, proxy).await;
    assert_eq!(upstream.join().await.len(), 2);
}

#[tokio::test]
async fn an_upstream_with_tls_is_checked_by_wsgate_unasked() {
    let _trace = trace::init();
    let upstream = Upstream::tls(TestCa::new().server(&["localhost"], &[]), script::echo()).await;
    let url = format!("https://localhost:{}", upstream.addr().port());

    let (nginx, target) = start_nginx(&classic_location("/websocket", &url)).await;
    talk(&target).await;
    nginx.stop().await;

    let another = UpstreamTls::ca_pem(TestCa::new().pem()).unwrap();
    let proxy = WebSocketProxy::to_with_tls(&url, another).unwrap();
    let gateway = start_wsgate("/websocket", proxy).await;
    let refused = gateway.target().refused(Handshake::of("/websocket")).await;
    assert_eq!(refused.response.status, 502);
    assert_eq!(
        refused.body,
        format!("upstream {url} failed the TLS handshake\n")
    );
    gateway.join().await;
    assert_eq!(upstream.join().await.len(), 2);
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_named_by_wsgate_alone() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let gone = upstream.addr();
    upstream.join().await;

    let location = classic_location("/websocket", &format!("http://{gone}"));
    let (nginx, target) = start_nginx(&location).await;
    let refused = target.refused(Handshake::of("/websocket")).await;
    assert_eq!(refused.response.status, 502);
    assert!(refused.body.starts_with(b"<html>"), "{refused:?}");
    nginx.stop().await;

    let gateway = start_wsgate("/websocket", proxy_to(gone)).await;
    let refused = gateway.target().refused(Handshake::of("/websocket")).await;
    assert_eq!(refused.response.status, 502);
    let why = format!("upstream http://{gone} refused the connection\n");
    assert_eq!(refused.body, why);
    gateway.join().await;
}

// ===== plain HTTP =====

#[tokio::test]
async fn plain_http_is_sent_to_https_with_the_method_kept_by_wsgate_alone() {
    let _trace = trace::init();
    let (nginx, target) =
        start_nginx("location / { return 301 https://$host:443$request_uri; }").await;
    let answer = target.get("/page?x=1").await;
    assert_eq!(
        outcome(&answer),
        (301, Some("https://localhost:443/page?x=1"))
    );
    // Plain HTTP where TLS is spoken.
    let answer = Target::plain(nginx.addr()).get("/page?x=1").await;
    assert_eq!(outcome(&answer), (400, None));
    nginx.stop().await;

    let leaf = TestCa::new().leaf(&["localhost"]);
    let tls = Tls::pem(Pem::bytes(leaf.cert_pem), Pem::bytes(leaf.key_pem));
    let server = Server::bind(([127, 0, 0, 1], 0))
        .tls(tls)
        .redirect_http(([127, 0, 0, 1], 0));
    let running = server.start(Router::new()).await.unwrap();
    let location = format!("{}/page?x=1", running.url());
    for addr in [running.redirect_addr().unwrap(), running.local_addr()] {
        let answer = Target::plain(addr).get("/page?x=1").await;
        assert_eq!(outcome(&answer), (308, Some(location.as_str())));
    }
    running.shutdown(std::time::Duration::ZERO).await.unwrap();
}

fn outcome(answer: &Refused) -> (u16, Option<&str>) {
    let Refused { response, .. } = answer;
    (response.status, response.fields.get("location"))
}

// ===== helpers =====

/// Opens a WebSocket through nginx, with this `proxy_pass` and these lines, and through wsgate.
async fn talks_through_both(proxy_pass: &str, lines: &str, proxy: WebSocketProxy) {
    let location = with_lines(&classic_location("/websocket", proxy_pass), lines);
    let (nginx, target) = start_nginx(&location).await;
    talk(&target).await;
    nginx.stop().await;

    let gateway = start_wsgate("/websocket", proxy).await;
    talk(&gateway.target()).await;
    gateway.join().await;
}

async fn talk(target: &Target) {
    let mut tunnel = target.tunnel(Handshake::of("/websocket")).await;
    tunnel.send(Frame::text("hello")).await;
    assert_eq!(tunnel.frame().await, Frame::text("hello"));
    tunnel.close(1000, "").await;
}
