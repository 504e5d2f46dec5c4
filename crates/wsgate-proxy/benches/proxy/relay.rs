use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tower::ServiceExt;
use wsgate_bench::bench;
use wsgate_frame::Role;
use wsgate_layer::upgrade;
use wsgate_proxy::WebSocketProxy;

use super::support::{frame, proxy, runtime};

/// A message to the upstream, and its answer.
#[divan::bench(args = [64, 16 * 1024, 1024 * 1024])]
fn echo(bencher: Bencher<'_, '_>, payload: usize) {
    run(bencher, payload, 1);
}

/// Sixteen of them at once.
#[divan::bench(args = [64])]
fn pipeline(bencher: Bencher<'_, '_>, payload: usize) {
    run(bencher, payload, 16);
}

fn run(bencher: Bencher<'_, '_>, payload: usize, messages: usize) {
    let runtime = runtime();
    let proxy = proxy(&runtime, payload);
    let mut client = runtime.block_on(open(proxy));
    let sent = frame(Role::Client, payload).repeat(messages);
    let mut answered = frame(Role::Server, payload).repeat(messages);
    let bencher = bencher
        .counter(BytesCount::new(payload * messages))
        .counter(ItemsCount::new(messages));
    bench(bencher, || {
        runtime.block_on(async {
            let sending = client.write_all(&sent).await;
            sending.expect("the tunnel is open");
            let hearing = client.read_exact(&mut answered).await;
            hearing.expect("the tunnel is open");
        });
    });
}

/// The client's end of an open tunnel.
async fn open(proxy: WebSocketProxy) -> DuplexStream {
    let (connection, on_upgrade) = upgrade::pair();
    let req = Request::get("/")
        .header("host", "example.com")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .extension(on_upgrade)
        .body(())
        .expect("a sound request");
    let Ok(res) = proxy.oneshot(req).await;
    assert_eq!(res.status(), StatusCode::SWITCHING_PROTOCOLS);
    let (client, gateway) = duplex(PIPE);
    connection.send(gateway).expect("the proxy waits for it");
    client
}

/// The most that is in memory between the client and the proxy, in each direction.
const PIPE: usize = 64 * 1024;
