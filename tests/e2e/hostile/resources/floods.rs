//! Clients that send what their upstream does not take.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{Frame, trace};

use super::{echoes_raw, open};

#[tokio::test]
async fn they_are_held_back_and_others_are_served() {
    let _trace = trace::init();
    let deaf = Upstream::tcp(script::never_reading()).await;
    let echo = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(deaf.addr())
        .args(&format!("--route /echo=http://{}", echo.addr()))
        .args("--send-timeout 3s")
        .start()
        .await;
    let mut before = 0;
    let mut floods: Vec<TcpStream> = Vec::new();
    for number in 0..FLOODS {
        let mut client = open(wsgate.addr()).await;
        if number == 1 {
            // What the first of all takes is there once.
            before = wsgate.memory();
        }
        flood(&mut client).await;
        floods.push(client);
    }
    let taken = wsgate.memory().saturating_sub(before) / (FLOODS - 1);
    assert!(taken < 96 << 10, "{} KiB each", taken >> 10);

    let mut other = super::open_at(wsgate.addr(), "/echo").await;
    echoes_raw(&mut other).await;
    let start = wsgate.cpu();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = wsgate.cpu() - start;
    assert!(used < Duration::from_millis(200), "{used:?} in a second");

    // Half of them leave, which cannot be seen as nobody reads on; and the upstream takes nothing.
    drop(floods.split_off(FLOODS as usize / 2));
    wsgate.logs("tunnel closed", FLOODS as usize).await;
    assert_eq!(
        wsgate.count("cause=\"send timeout\""),
        FLOODS as usize,
        "{}",
        wsgate.log()
    );
    echoes_raw(&mut other).await;
    drop(other);
    wsgate.terminate().await;
    deaf.join().await;
    echo.join().await;
}

/// Sends until nothing more is taken.
async fn flood(client: &mut TcpStream) {
    let frame = Frame::binary(vec![0xaa; 64 << 10]).masked([1, 2, 3, 4]);
    let bytes = frame.to_bytes();
    let still = Duration::from_millis(100);
    while timeout(still, client.write_all(&bytes)).await.is_ok() {}
}

const FLOODS: u64 = 20;
