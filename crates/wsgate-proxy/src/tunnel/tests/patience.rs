//! Sides that leave a Close unanswered, or take nothing.

use super::*;

/// A tunnel opened at a time from which seconds are counted.
struct Slow {
    client: DuplexStream,
    upstream: DuplexStream,
    relay: JoinHandle<()>,
    opened: Instant,
    log: Log,
    _guard: DefaultGuard,
}

impl Slow {
    fn open() -> Self {
        let (log, guard) = Log::capture();
        let (client, upstream, relay) = relay(64);
        Self {
            client,
            upstream,
            relay,
            opened: Instant::now(),
            log,
            _guard: guard,
        }
    }

    /// The second at which the tunnel is over, whatever the two do meanwhile, and what it logged.
    #[track_caller]
    fn over_at(&self, second: u64, logged: &[&str]) {
        assert_eq!(self.opened.elapsed().as_secs(), second);
        assert!(self.relay.is_finished());
        self.log.assert_has(logged);
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_upstream_does_not_answer() {
    let mut slow = Slow::open();
    slow.client.write_all(CLIENT_CLOSE).await.unwrap();
    expect(&mut slow.upstream, CLIENT_CLOSE).await;
    (&mut slow.relay).await.unwrap();
    slow.over_at(
        10,
        &[
            "closed_by=\"client\"",
            "cause=\"close\"",
            "side=\"upstream\"",
            "cut=\"close timeout\"",
            "close_code=1000",
        ],
    );
    expect_end(&mut slow.client).await;
    expect_end(&mut slow.upstream).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_client_does_not_answer() {
    let mut slow = Slow::open();
    slow.upstream.write_all(SERVER_CLOSE).await.unwrap();
    // It has ended its side as well, and still waits for the client's.
    slow.upstream.shutdown().await.unwrap();
    expect(&mut slow.client, SERVER_CLOSE).await;
    (&mut slow.relay).await.unwrap();
    slow.over_at(
        10,
        &["closed_by=\"upstream\"", "side=\"client\"", "cut=\"close"],
    );
    expect_end(&mut slow.client).await;
}

#[tokio::test(start_paused = true)]
async fn what_still_comes_after_a_close_gives_no_more_time() {
    let mut slow = Slow::open();
    slow.upstream.write_all(SERVER_CLOSE).await.unwrap();
    // A frame of the client's that never comes to its end, a byte a second.
    let dribbled = async {
        let mut written = slow.client.write_all(b"\x82\xfe\xff\xff\0\0\0\0").await;
        while written.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            written = slow.client.write_all(b"x").await;
        }
    };
    let read = async { while slow.upstream.read(&mut [0; 8]).await.is_ok_and(|n| n > 0) {} };
    let ended = async {
        (&mut slow.relay).await.unwrap();
        slow.opened.elapsed().as_secs()
    };
    let ((), (), ended) = tokio::join!(dribbled, read, ended);
    assert_eq!(ended, 10);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_gives_no_more_time_than_was_left() {
    for (answered, ended) in [(2, 7), (8, 10)] {
        let mut slow = Slow::open();
        slow.client.write_all(CLIENT_CLOSE).await.unwrap();
        tokio::time::sleep(Duration::from_secs(answered)).await;
        slow.upstream.write_all(SERVER_CLOSE).await.unwrap();
        (&mut slow.relay).await.unwrap();
        slow.over_at(ended, &["closed_by=\"client\"", "cause=\"close\""]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing() {
    let mut slow = Slow::open();
    let flood = [&b"\x82\x7e\x10\0"[..], &[0; 0x1000]].concat();
    let (mut reading, mut writing) = tokio::io::split(slow.upstream);
    drop(tokio::spawn(async move { writing.write_all(&flood).await }));
    let mut head = [0; 6];
    reading.read_exact(&mut head).await.unwrap();
    assert_eq!(slow.opened.elapsed().as_secs(), 60);
    let mut told = [0; 13];
    reading.read_exact(&mut told).await.unwrap();
    for (at, byte) in told.iter_mut().enumerate() {
        *byte ^= head[2 + at % 4];
    }
    assert_eq!((head[0], &told), (0x88, b"\x03\xe9client lost"));
    (&mut slow.relay).await.unwrap();
    slow.log.assert_has(&[
        "closed_by=\"gateway\"",
        "cause=\"send timeout\"",
        "side=\"client\"",
        "close_code=1001",
    ]);
    assert_eq!(slow.opened.elapsed().as_secs(), 65);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_takes_nothing() {
    let mut slow = Slow::open();
    let flood = [&b"\x82\xfe\x10\0\0\0\0\0"[..], &[0; 0x1000]].concat();
    let (mut reading, mut writing) = tokio::io::split(slow.client);
    drop(tokio::spawn(async move { writing.write_all(&flood).await }));
    let mut told = [0; LOST.len()];
    reading.read_exact(&mut told).await.unwrap();
    assert_eq!(told, LOST);
    assert_eq!(slow.opened.elapsed().as_secs(), 60);
    (&mut slow.relay).await.unwrap();
    slow.log.assert_has(&[
        "cause=\"send timeout\"",
        "side=\"upstream\"",
        "close_code=1014",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_takes_a_little_now_and_then_is_waited_for() {
    let mut slow = Slow::open();
    let flood = [&b"\x82\x7e\x01\0"[..], &[7; 0x100]].concat();
    slow.upstream.write_all(&flood[..60]).await.unwrap();
    let mut upstream = slow.upstream;
    let rest = flood[60..].to_vec();
    let sent = tokio::spawn(async move {
        upstream.write_all(&rest).await.unwrap();
        upstream
    });
    let mut seen = Vec::new();
    while seen.len() < flood.len() {
        tokio::time::sleep(Duration::from_secs(50)).await;
        let mut bytes = [0; 10];
        let read = slow.client.read(&mut bytes).await.unwrap();
        seen.extend_from_slice(&bytes[..read]);
    }
    assert_eq!(seen, flood);
    assert!(!slow.relay.is_finished());
    sent.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_flows_again_forgets_that_it_was_stuck() {
    let ((mut client, near), (mut upstream, far)) = (duplex(64), duplex(64));
    let mut relay = task::spawn(relay_of(near, far));
    let flood = [&b"\x82\x64"[..], &[7; 100]].concat();
    upstream.write_all(&flood[..64]).await.unwrap();
    assert_pending!(relay.poll());
    upstream.write_all(&flood[64..]).await.unwrap();
    assert_pending!(relay.poll());
    assert!(!format!("{:?}", *relay).contains("rare: None"));

    let mut seen = [0; 102];
    client.read_exact(&mut seen[..64]).await.unwrap();
    assert_pending!(relay.poll());
    client.read_exact(&mut seen[64..]).await.unwrap();
    assert_eq!(seen[..], flood);
    tokio::time::advance(Duration::from_secs(16)).await;
    assert!(relay.is_woken());
    assert_pending!(relay.poll());
    assert!(format!("{:?}", *relay).contains("rare: None"));
}
