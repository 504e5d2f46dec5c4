//! A message longer than anybody would hold.

use wsgate_tests::alone::{alone, memory, peak_memory};
use wsgate_tests::bulk::Bulk;
use wsgate_tests::client::Handshake;
use wsgate_tests::stage::{Ends, Http, Stage};
use wsgate_tests::{Role, trace};

#[tokio::test]
async fn a_hundred_megabytes_each_way_over_http1() {
    if alone("transparency::size::a_hundred_megabytes_each_way_over_http1").await {
        a_hundred_megabytes_each_way(Http::One).await;
    }
}

#[tokio::test]
async fn a_hundred_megabytes_each_way_over_http2() {
    if alone("transparency::size::a_hundred_megabytes_each_way_over_http2").await {
        a_hundred_megabytes_each_way(Http::Two).await;
    }
}

/// Client, gateway and upstream are all in this process: none of them may hold the message.
async fn a_hundred_megabytes_each_way(http: Http) {
    let _trace = trace::init();
    let mut stage = Stage::start(http).await;
    let Ends {
        client, upstream, ..
    } = stage.open(Handshake::of("/websocket")).await;
    let (client, upstream) = (client.into_parts().0, upstream.into_parts().0);
    let (mut from_gateway, mut client) = tokio::io::split(client);
    let (mut from_client, mut upstream) = tokio::io::split(upstream);
    let up = Bulk::from(Role::Client, 100_000_000);
    let down = Bulk::from(Role::Server, 100_000_000);

    let before = memory();
    tokio::join!(
        up.send(&mut client, |_| {}),
        up.receive(&mut from_client),
        down.send(&mut upstream, |_| {}),
        down.receive(&mut from_gateway),
    );
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");

    drop((from_gateway, client, from_client, upstream));
    stage.join().await;
}
