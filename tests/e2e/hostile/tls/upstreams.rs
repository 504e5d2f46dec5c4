//! Upstreams that speak what nobody should any more.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use wsgate::WebSocketProxy;
use wsgate::proxy::UpstreamTls;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Protocol};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::program::Program;
use wsgate_tests::{fixed_port, trace, within};

/// `openssl s_server` with these options, and where.
async fn s_server(folder: &Path, options: &[&str]) -> (Program, u16) {
    let port = fixed_port();
    let mut command = Command::new("openssl");
    command
        .current_dir(folder)
        .args(["s_server", "-accept", &format!("127.0.0.1:{port}")])
        .args(["-cert", "server.pem", "-key", "server.key"])
        .args(options);
    let mut program = Program::start(&mut command);
    while program.line().await != "ACCEPT" {}
    (program, port)
}

/// A self-signed certificate with an RSA key, for suites that need one.
async fn rsa(folder: &Path) {
    let mut command = Command::new("openssl");
    command
        .current_dir(folder)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2",
        ])
        .args(["-keyout", "server.key", "-out", "server.pem"])
        .args(["-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:false"])
        .stderr(Stdio::null());
    let made = within("openssl", command.status()).await.unwrap();
    assert!(made.success());
}

#[tokio::test]
async fn old_versions_and_weak_suites_are_refused() {
    let trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    rsa(folder.path()).await;
    let weak = "ALL:!ECDHE+AESGCM:!ECDHE+CHACHA20:@SECLEVEL=0";
    for options in [
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", weak],
    ] {
        let (server, port) = s_server(folder.path(), options).await;
        let tls = UpstreamTls::ca_file(folder.path().join("server.pem")).unwrap();
        let endpoint = format!("https://localhost:{port}");
        let proxy = WebSocketProxy::to_with_tls(&endpoint, tls).unwrap();
        let gateway = Gateway::proxying(proxy).await;
        let handshake = Handshake::of("/websocket");
        let visit = gateway.target().visit(Protocol::Http1, handshake).await;
        assert_eq!(visit.unwrap_err().response.status, 502, "{options:?}");
        let sentence = format!("upstream {endpoint} failed the TLS handshake");
        trace.until(&sentence, 1).await;
        gateway.join().await;
        server.kill().await;
    }
}

/// The same server is reached with what is left to it, so that it was not for another reason.
#[tokio::test]
async fn what_is_good_is_not() {
    let trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let ca_file = ca.write(folder.path());
    ca.leaf(&["localhost"]).write(folder.path(), "server");
    for version in ["-tls1_2", "-tls1_3"] {
        let (server, port) = s_server(folder.path(), &[version, "-www"]).await;
        let tls = UpstreamTls::ca_file(&ca_file).unwrap();
        let endpoint = format!("https://localhost:{port}");
        let proxy = WebSocketProxy::to_with_tls(&endpoint, tls).unwrap();
        let gateway = Gateway::proxying(proxy).await;
        let handshake = Handshake::of("/websocket");
        // Its status page, which is no WebSocket: the handshake of TLS has succeeded.
        let visit = gateway.target().visit(Protocol::Http1, handshake).await;
        let refused = visit.unwrap_err();
        let body = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(!body.contains("TLS handshake"), "{version}: {body}");
        assert_eq!(trace.find("failed the TLS handshake").len(), 0);
        gateway.join().await;
        server.kill().await;
    }
}
