//! Upstreams on a Unix socket.

use std::path::Path;

use wsgate::WebSocketProxy;
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{fails, reaches};

fn to(path: &Path) -> WebSocketProxy {
    WebSocketProxy::to(&format!("unix:{}", path.display())).unwrap()
}

#[tokio::test]
async fn it_serves_as_any_other() {
    let trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstream.sock");
    let upstream = Upstream::unix(&path, script::echo());
    reaches(to(&path)).await;
    for seen in upstream.ended(2).await {
        assert_eq!(seen.request().target, "/websocket");
        assert!(
            seen.request()
                .fields
                .get("host")
                .unwrap()
                .starts_with("localhost:")
        );
        assert_eq!(
            (seen.messages, seen.close),
            (1, Some((1000, String::new())))
        );
    }
    for closed in trace.until("tunnel closed", 2).await {
        assert_eq!(closed.field("endpoint"), format!("unix:{}", path.display()));
    }
}

#[tokio::test]
async fn its_own_host_is_localhost() {
    let _trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstream.sock");
    let upstream = Upstream::unix(&path, script::echo());
    reaches(to(&path).endpoint_host()).await;
    for seen in upstream.ended(2).await {
        assert_eq!(seen.request().fields.all("host"), ["localhost"]);
    }
}

#[tokio::test]
async fn one_that_is_not_there_cannot_be_reached() {
    let trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing.sock");
    fails(
        &trace,
        to(&path),
        502,
        "could not be reached",
        "No such file",
    )
    .await;
}

/// The file stays when its server is gone.
#[tokio::test]
async fn one_that_nobody_listens_on_refuses() {
    let trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stale.sock");
    Upstream::unix(&path, script::echo()).join().await;
    fails(
        &trace,
        to(&path),
        502,
        "refused the connection",
        "Connection refused",
    )
    .await;
}
