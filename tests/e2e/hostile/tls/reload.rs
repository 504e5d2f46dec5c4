//! Certificates that change under live tunnels and amid a crowd.

use std::fs;
use std::path::PathBuf;

use tokio::task::JoinSet;
use wsgate::WebSocketProxy;
use wsgate::server::{Pem, Tls};
use wsgate_tests::certs::{Leaf, TestCa};
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

/// Files for a gateway, which another certificate of the same authority is put into.
struct Files {
    folder: tempfile::TempDir,
    ca: TestCa,
}

impl Files {
    fn new() -> Self {
        let files = Self {
            folder: tempfile::tempdir().unwrap(),
            ca: TestCa::new(),
        };
        files.renew();
        files
    }

    fn renew(&self) -> Leaf {
        let leaf = self.ca.leaf(&["localhost"]);
        leaf.write(self.folder.path(), "server");
        leaf
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tls(&self) -> Tls {
        Tls::pem_files(self.file("server.pem"), self.file("server.key")).without_watching()
    }

    async fn gateway(&self, upstream: &Upstream, tls: Tls) -> Gateway {
        let proxy = WebSocketProxy::to(&format!("http://{}", upstream.addr())).unwrap();
        // The gateway's own idea of its authority is not asked for.
        Gateway::with_tls(gateway::app(proxy), TestCa::new(), tls).await
    }

    fn target(&self, gateway: &Gateway) -> Target {
        Target::tls(gateway.addr(), &self.ca)
    }
}

#[tokio::test]
async fn tunnels_over_both_protocols_never_notice() {
    let trace = trace::init();
    let files = Files::new();
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = files.gateway(&upstream, files.tls()).await;
    let target = files.target(&gateway);
    let mut h2 = target.h2().await;
    let mut tunnels = [
        target.tunnel(Handshake::of("/websocket")).await,
        h2.tunnel(Handshake::of("/websocket")).await,
    ];

    for round in 0..3 {
        files.renew();
        gateway.running().reloader().reload().await.unwrap();
        for tunnel in &mut tunnels {
            let hello = Frame::text(format!("round {round}"));
            tunnel.send(hello.clone()).await;
            assert_eq!(tunnel.frame().await, hello);
        }
        // What was connected before takes new tunnels as well.
        h2.tunnel(Handshake::of("/websocket"))
            .await
            .close(1000, "")
            .await;
    }
    trace.until("read anew, and are in use", 3).await;
    for tunnel in tunnels {
        tunnel.close(1000, "").await;
    }
    h2.join().await;
    gateway.join().await;
    upstream.ended(5).await;
}

/// Certificate and key are of one state, whenever a handshake begins.
#[tokio::test]
async fn no_handshake_fails_while_they_change() {
    let _trace = trace::init();
    let files = Files::new();
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = files.gateway(&upstream, files.tls()).await;
    let mut crowd = JoinSet::new();
    for _ in 0..4 {
        let target = files.target(&gateway);
        crowd.spawn(async move {
            for _ in 0..25 {
                // With nothing to resume.
                let page = target.get("/").await;
                assert_eq!(page.response.status, 200);
            }
        });
    }
    let mut reloads = 0;
    while !crowd.is_empty() {
        files.renew();
        gateway.running().reloader().reload().await.unwrap();
        reloads += 1;
        while crowd.try_join_next().map(Result::unwrap).is_some() {}
    }
    assert!(reloads > 1);
    gateway.join().await;
    upstream.ended(0).await;
}

/// The open tunnel goes on, as with nginx; a new one takes a certificate that is good now.
#[tokio::test]
async fn a_client_whose_ca_is_gone_keeps_its_tunnel_and_gets_no_other() {
    let trace = trace::init();
    let files = Files::new();
    let (known, gone) = (TestCa::new(), TestCa::new());
    let clients = files.file("clients.pem");
    fs::write(&clients, format!("{}{}", known.pem(), gone.pem())).unwrap();
    let tls = files
        .tls()
        .require_client_certificate(Pem::file(clients.clone()));
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = files.gateway(&upstream, tls).await;
    let target = |ca: &TestCa| {
        let leaf = ca.leaf(&["client.test"]);
        Target::tls_with(gateway.addr(), files.ca.client_with(&leaf))
    };
    let (stays, leaves) = (target(&known), target(&gone));
    // Twice, so that there is a session to resume.
    leaves.get("/").await;
    let mut open = leaves.tunnel(Handshake::of("/websocket")).await;

    fs::write(&clients, known.pem()).unwrap();
    gateway.running().reloader().reload().await.unwrap();
    let hello = Frame::text("still here");
    open.send(hello.clone()).await;
    assert_eq!(open.frame().await, hello);
    stays.get("/").await;
    // In TLS 1.3 the client is done before it is refused.
    if let Ok(io) = leaves.try_connect(&["http/1.1"]).await {
        let mut io = io;
        let head = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut io, head).await;
        let mut answer = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut io, &mut answer).await;
        assert!(read.is_err() && answer.is_empty(), "{read:?}");
    }
    trace
        .until(
            "the client's certificate is not one that this server accepts",
            1,
        )
        .await;
    open.close(1000, "").await;
    gateway.join().await;
    upstream.ended(1).await;
}
