//! Routes with several endpoints.

use std::fs;

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream},
};

#[tokio::test]
async fn several_endpoints_share_the_websockets() {
    let identity = Identity::new("localhost");
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --upstream-host endpoint --balance round-robin \
         --health-check tcp --route /ws={},{}",
        identity.args(),
        one.url(),
        two.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    let mut reached = Vec::new();
    for _ in 0..4 {
        reached.push(client.reaches("/ws").await);
    }
    let expected = [&one, &two].map(|upstream| format!("/ws {}", upstream.address));
    for expected in &expected {
        let times = reached.iter().filter(|reached| *reached == expected);
        assert_eq!(times.count(), 2, "{reached:?}");
    }
    wsgate.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_passed_over() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let nobody = Upstream::start().await;
    let gone = nobody.url();
    drop(nobody);
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --tries 2 --balance random --route /ws={gone},{}",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    for _ in 0..10 {
        client.reaches("/ws").await;
    }
    wsgate.stop().await;
}

#[tokio::test]
async fn endpoints_stand_in_a_file() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("backend.endpoints");
    fs::write(&file, format!("# ours\n{} weight=2\n", upstream.url())).unwrap();
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /ws=file:{}",
        identity.args(),
        file.display()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    client.reaches("/ws").await;
    wsgate.stop().await;
}
