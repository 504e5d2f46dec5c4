//! All clients at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use wsgate_tests::trace;
use wsgate_tests::upstream::{Script, Upstream, script, switching};
use wsgate_tests::wsgate::Wsgate;

use super::{echoes_raw, knock, open_at};

/// The upstream answers some two hundred handshakes in a second. Had all to wait for it, the last would be
/// answered after four.
#[tokio::test]
async fn a_storm_is_shed_at_once_and_no_handshake_times_out() {
    let _trace = trace::init();
    let slow = Upstream::tcp(one_at_a_time(Duration::from_millis(5))).await;
    let echo = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(slow.addr())
        .args(&format!("--route /echo=http://{}", echo.addr()))
        .args("--handshake-timeout 2s --max-pending-handshakes 50")
        .start()
        .await;
    let mut live = open_at(wsgate.addr(), "/echo").await;
    let began = Instant::now();
    let crowd = join_all((0..CROWD).map(|_| async {
        let (status, stream, head) = knock(wsgate.addr()).await.unwrap();
        (status, stream, head, began.elapsed())
    }));
    let alive = async {
        // While all of them come, and for as long as they wait.
        loop {
            echoes_raw(&mut live).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    let crowd: Vec<(u16, TcpStream, String, Duration)> = tokio::select! {
        crowd = crowd => crowd,
        () = alive => unreachable!("it goes on for ever"),
    };
    let count = |status| crowd.iter().filter(|(s, ..)| *s == status).count();
    assert!(count(101) >= 50, "{} were served", count(101));
    assert_eq!(count(101) + count(503), CROWD);
    for (_, _, head, _) in crowd.iter().filter(|(status, ..)| *status == 503) {
        assert!(head.contains("retry-after: 1\r\n"), "{head}");
    }
    // A flood of refusals is no flood of log lines.
    assert!(wsgate.count("refused a WebSocket handshake") < 20);
    echoes_raw(&mut live).await;

    drop((crowd, live));
    wsgate.terminate().await;
    slow.join().await;
    echo.join().await;
}

/// Accepts one handshake after the other, each after so long.
fn one_at_a_time(pause: Duration) -> Script {
    let turn = Arc::new(Mutex::new(()));
    script::script(move |mut connection| {
        let turn = Arc::clone(&turn);
        async move {
            let Some(request) = connection.request().await else {
                return;
            };
            let taken = turn.lock().await;
            sleep(pause).await;
            drop(taken);
            connection.write(switching(&request, "")).await;
            connection.drain().await;
        }
    })
}

const CROWD: usize = 800;
