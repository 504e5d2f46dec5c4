//! Clocks that jump, and a process that stands still.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{Frame, trace, within};

use super::{echoes, echoes_raw, handshake, open};

/// A virtual machine that is paused, a laptop that is closed, a debugger. Everything that was to be done
/// meanwhile is due at once when it goes on, and nothing of what has come was read.
#[tokio::test]
async fn who_stood_still_takes_nobody_for_dead() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(upstream.addr())
        .args("--keepalive 500ms --pong-timeout 500ms --read-timeout 1500ms")
        .start()
        .await;
    let mut clients = JoinSet::new();
    for _ in 0..CROWD {
        let mut stream = open(wsgate.addr()).await;
        echoes_raw(&mut stream).await;
        clients.spawn(answer_pings(stream));
    }
    for _ in 0..2 {
        // Between a ping and its pong there is little time: some clients are there by chance.
        wsgate.freeze().await;
        sleep(Duration::from_millis(2500)).await;
        wsgate.thaw().await;
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(wsgate.count("tunnel closed"), 0, "{}", wsgate.log());
    // Each ends with its client.
    clients.shutdown().await;
    wsgate.logs("tunnel closed", CROWD).await;
    wsgate.terminate().await;
    upstream.ended(CROWD).await;
}

/// The ping is on its way when all stands still. The kernel takes the pong, and tells the process of its
/// timers first when that goes on.
#[tokio::test]
async fn a_pong_that_came_meanwhile_counts_and_none_is_none() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(upstream.addr())
        .args("--keepalive 300ms --pong-timeout 300ms --read-timeout off")
        .start()
        .await;
    for answers in [true, false] {
        let mut client = wsgate.target().tunnel(handshake()).await;
        echoes(&mut client).await;
        let ping = client.frame().await;
        assert_eq!(ping.opcode, 0x9);
        wsgate.freeze().await;
        if answers {
            client.send(Frame::pong(ping.payload)).await;
        }
        sleep(Duration::from_secs(1)).await;
        wsgate.thaw().await;
        if answers {
            echo_between_pings(&mut client).await;
        } else {
            wsgate.logs("cause=\"pong timeout\"", 1).await;
        }
        drop(client);
        wsgate.logs("tunnel closed", 2 - usize::from(answers)).await;
    }
    wsgate.terminate().await;
    upstream.ended(2).await;
}

/// Back by a hundred days, and on by ten years: nothing here goes by the time of day.
#[tokio::test]
async fn the_time_of_day_may_be_any() {
    let _trace = trace::init();
    let files = tempfile::tempdir().unwrap();
    let time = files.path().join("time");
    set(&time, "+0");
    let upstream = Upstream::tcp(script::echo()).await;
    let other = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(upstream.addr())
        .route(format!(
            "http://{},http://{}",
            upstream.addr(),
            other.addr()
        ))
        .args("--balance sticky-cookie --hsts 1h --log json")
        .args("--keepalive 200ms --pong-timeout 10s --idle-timeout 10s --max-lifetime 60s")
        .tls()
        .variable("LD_PRELOAD", FAKETIME)
        .variable("FAKETIME_TIMESTAMP_FILE", &time.to_string_lossy())
        .variable("FAKETIME_NO_CACHE", "1")
        .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .start()
        .await;
    let mut live = wsgate.target().tunnel(handshake()).await;
    echo_between_pings(&mut live).await;
    let jumps = ["-100d", "+3650d", "-10000d", "+0"];
    for (number, jump) in jumps.iter().enumerate() {
        set(&time, jump);
        // Some pings, each with a deadline.
        sleep(Duration::from_millis(500)).await;
        echo_between_pings(&mut live).await;
        let opened = wsgate.target().open(handshake()).await;
        let mut opened = opened.unwrap_or_else(|refused| panic!("{jump}: {refused:?}"));
        let fields = &opened.response.fields;
        assert_eq!(
            fields.get("strict-transport-security"),
            Some("max-age=3600")
        );
        assert!(fields.get("set-cookie").is_some(), "{fields:?}");
        echoes(&mut opened.tunnel).await;
        opened.tunnel.close(1000, "").await;
        wsgate.logs("tunnel closed", number + 1).await;
    }
    let log = wsgate.log();
    assert!(!log.contains("panicked"), "{log}");
    // The jumps were seen, or this test shows nothing.
    let years: Vec<_> = log
        .lines()
        .filter(|line| line.contains("tunnel closed"))
        .filter_map(|line| line.split_once("\"timestamp\":\"")?.1.get(..4))
        .collect();
    let distinct: std::collections::HashSet<_> = years.iter().collect();
    assert!(distinct.len() >= 3, "{years:?}");
    live.close(1000, "").await;
    wsgate.terminate().await;
    upstream.join().await;
    other.join().await;
}

/// Pings come whenever they come.
async fn echo_between_pings(tunnel: &mut wsgate_tests::Tunnel) {
    tunnel.send(Frame::text("hello")).await;
    loop {
        let frame = tunnel.frame().await.unmasked();
        match frame.opcode {
            0x9 => tunnel.send(Frame::pong(frame.payload)).await,
            _ => return assert_eq!(frame, Frame::text("hello")),
        }
    }
}

/// Replaced whole, so that nobody reads half of it.
fn set(file: &Path, time: &str) {
    let new = file.with_extension("new");
    fs::write(&new, time).unwrap();
    fs::rename(new, file).unwrap();
}

/// Until the Close, which it answers.
async fn answer_pings(mut stream: TcpStream) {
    let mut header = [0; 2];
    loop {
        within("a frame", stream.read_exact(&mut header))
            .await
            .unwrap();
        let mut payload = vec![0; header[1].into()];
        stream.read_exact(&mut payload).await.unwrap();
        let answer = match header[0] & 0xf {
            0x9 => Frame::pong(payload),
            0x8 => Frame::new(0x8, payload),
            _ => continue,
        };
        let is_close = answer.opcode == 0x8;
        let bytes = answer.masked([1, 2, 3, 4]).to_bytes();
        stream.write_all(&bytes).await.unwrap();
        if is_close {
            return;
        }
    }
}

/// Where Debian has it; the name is the same for every architecture.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

const CROWD: usize = 100;
