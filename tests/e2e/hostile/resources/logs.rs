//! A log that cannot be written.

use std::time::Duration;

use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;

use super::{echoes_raw, open};

#[tokio::test]
async fn wherever_it_goes_the_gateway_serves_on() {
    let _trace = trace::init();
    for output in [
        // A disk that is full.
        "2>/dev/full",
        // A reader that has gone.
        "2> >(exit)",
        "2>&-",
        // A reader that is there and does not read.
        "2> >(exec sleep 60 >/dev/null)",
    ] {
        let upstream = Upstream::tcp(script::echo()).await;
        let wsgate = Wsgate::before(upstream.addr())
            .args("--route /nobody=http://127.0.0.1:9 --log-level debug")
            .output(output)
            .start()
            .await;
        let mut tunnel = open(wsgate.addr()).await;
        // Each is told in some hundred bytes, and a pipe takes 64 KiB.
        for _ in 0..1000 {
            let (status, ..) = knock_nobody(&wsgate).await;
            assert_eq!(status, 502, "{output}");
        }
        echoes_raw(&mut tunnel).await;
        let before = wsgate.memory();
        for _ in 0..1000 {
            knock_nobody(&wsgate).await;
        }
        let more = wsgate.memory().saturating_sub(before);
        assert!(more < 2 << 20, "{output}: {more} bytes more");
        // Telling what was lost must not be lost and told in circles.
        let before = wsgate.cpu();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let used = wsgate.cpu() - before;
        assert!(used < Duration::from_millis(100), "{output}: {used:?}");
        echoes_raw(&mut tunnel).await;
        drop(tunnel);
        wsgate.terminate().await;
        upstream.join().await;
    }
}

async fn knock_nobody(wsgate: &Wsgate) -> (u16, String) {
    let stream = tokio::net::TcpStream::connect(wsgate.addr()).await.unwrap();
    let (status, _, head) = super::shake_hands(stream, "/nobody").await.unwrap();
    (status, head)
}
