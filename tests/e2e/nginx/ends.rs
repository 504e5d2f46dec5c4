//! What becomes of open WebSockets when the gateway is to stop, or to start anew.

use std::time::Duration;

use tokio::process::Command;
use wsgate::layer::Drain;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::Target;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::nginx::{Config, Nginx};
use wsgate_tests::program::{self, Program};
use wsgate_tests::{Frame, trace};

use super::{Backstage, Ends, mounted_at, start_nginx_with};

#[tokio::test]
async fn an_end_in_order_is_told_to_both_sides_by_wsgate_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    for word in ["quit", "reload"] {
        let (nginx, target) = master(&backstage, "worker_shutdown_timeout 500ms;").await;
        let ends = backstage.open(&target).await;
        nginx.tell(word).await;
        is_cut(ends).await;
        if word == "reload" {
            // It is there for others.
            backstage.open(&target).await;
            nginx.tell("stop").await;
        }
        nginx.join().await;
    }

    let gateway = draining(&backstage, Duration::from_secs(20)).await;
    let mut ends = backstage.open(&gateway.target()).await;
    let client = async {
        is_told(&mut ends).await;
        drop(ends);
    };
    tokio::join!(gateway.join(), client);
}

#[tokio::test]
async fn an_end_in_order_may_never_come_in_nginx_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let (nginx, target) = master(&backstage, "").await;
    let mut ends = backstage.open(&target).await;
    nginx.tell("quit").await;
    // From when on nobody is let in any more.
    while target.try_connect(&["http/1.1"]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let silence = tokio::time::timeout(Duration::from_millis(500), ends.client.next()).await;
    silence.unwrap_err();
    ends.client.send(Frame::text("still here")).await;
    let passed = ends.upstream.frame().await.unmasked();
    assert_eq!(passed, Frame::text("still here"));
    drop(ends);
    nginx.join().await;

    // A client that does not answer is cut when the time is over.
    let gateway = draining(&backstage, Duration::from_millis(500)).await;
    let Ends {
        mut client,
        upstream,
    } = backstage.open(&gateway.target()).await;
    let client = async {
        let close = client.frame().await;
        assert_eq!(close, Frame::close(1001, "server shutting down"));
        client.end().await;
    };
    tokio::join!(gateway.join(), client);
    drop(upstream);
}

#[tokio::test]
async fn sigterm_cuts_in_nginx_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    // `nginx -s stop` is that signal.
    let (nginx, target) = master(&backstage, "worker_shutdown_timeout 20s;").await;
    let ends = backstage.open(&target).await;
    nginx.tell("stop").await;
    is_cut(ends).await;
    nginx.join().await;

    let (wsgate, target, _files) = program(&backstage).await;
    let mut ends = backstage.open(&target).await;
    let client = async {
        is_told(&mut ends).await;
        drop(ends);
    };
    tokio::join!(wsgate.terminate(), client);
}

// ===== what several of them do =====

/// nginx as it is run in earnest, with this line in its configuration.
async fn master(backstage: &Backstage, main: &str) -> (Nginx, Target) {
    let config = Config {
        main,
        server: &backstage.location_with(""),
        master: true,
        ..Config::default()
    };
    start_nginx_with(&config).await
}

/// wsgate with a drain that takes so long at most.
async fn draining(backstage: &Backstage, within: Duration) -> Gateway {
    let drain = Drain::new();
    let app = mounted_at("/websocket", backstage.proxy()).layer(drain.layer());
    Gateway::adjusted(app, |server| server.drain(drain.within(within))).await
}

/// The program `wsgate` as it comes.
async fn program(backstage: &Backstage) -> (Program, Target, tempfile::TempDir) {
    let (ca, files) = (TestCa::new(), tempfile::tempdir().unwrap());
    let (cert, key) = ca.leaf(&["localhost"]).write(files.path(), "server");
    let mut command = Command::new(program::built("wsgate"));
    command
        .args(["--listen", "127.0.0.1:0", "--cert"])
        .arg(cert)
        .arg("--key")
        .arg(key)
        .arg("--route")
        .arg(format!("/websocket=http://{}", backstage.upstream.addr()));
    let mut wsgate = Program::start(&mut command);
    let listening = wsgate.line().await;
    let (_, port) = listening.rsplit_once(':').unwrap();
    let addr = ([127, 0, 0, 1], port.parse().unwrap());
    (wsgate, Target::tls(addr.into(), &ca), files)
}

/// Both sides see the end, and nothing before it: what browsers call 1006.
async fn is_cut(mut ends: Ends) {
    // The client's even without TLS's own goodbye.
    ends.client.end().await;
    ends.upstream.end().await;
}

/// The client gets a Close and answers, and the upstream gets it too.
async fn is_told(ends: &mut Ends) {
    let close = ends.client.frame().await;
    assert_eq!(close, Frame::close(1001, "server shutting down"));
    ends.client.send(close.clone()).await;
    let told = ends.upstream.frame().await;
    assert_eq!(told.close_parts(), close.close_parts());
}
