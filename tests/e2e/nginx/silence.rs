//! WebSockets in which one side, or both, have nothing to say, or are gone.

use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use wsgate::WebSocketProxy;
use wsgate::layer::{KeepaliveLayer, ReadTimeoutLayer};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::{End, Frame, Tunnel, trace, within};

use super::{Backstage, Ends, mounted_at, start_nginx, start_wsgate};

#[tokio::test]
async fn a_silent_tunnel_ends_without_a_word_in_nginx_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    ends_in_nginx(&mut backstage, "proxy_read_timeout 500ms;").await;

    let app = mounted_at("/websocket", backstage.proxy());
    let app = app.layer(ReadTimeoutLayer::new(Duration::from_millis(500)));
    let gateway = Gateway::serving(app).await;
    let mut ends = backstage.open(&gateway.target()).await;
    let close = ends.client.frame().await;
    assert_eq!(close, Frame::close(1001, "read timeout"));
    ends.client.send(close.clone()).await;
    let told = ends.upstream.frame().await;
    assert_eq!(told.close_parts(), close.close_parts());
    drop(ends);
    gateway.join().await;
}

#[tokio::test]
async fn a_silent_tunnel_stays_open_in_a_proxy_without_layers() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    ends_in_nginx(&mut backstage, "proxy_read_timeout 500ms;").await;

    let gateway = start_wsgate("/websocket", backstage.proxy()).await;
    let mut ends = backstage.open(&gateway.target()).await;
    let silence = timeout(Duration::from_secs(1), ends.client.next()).await;
    silence.unwrap_err();
    passes(&mut ends).await;
    drop(ends);
    gateway.join().await;
}

#[tokio::test]
async fn a_quiet_client_is_asked_whether_it_is_there_by_wsgate_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let lines = "proxy_read_timeout 500ms; proxy_socket_keepalive on;";
    ends_in_nginx(&mut backstage, lines).await;

    let read_timeout = Duration::from_secs(1);
    // A busy machine may be late for once; the answers come at once.
    let keepalive = KeepaliveLayer::every(EVERY).pong_timeout(Duration::from_secs(10));
    let app = mounted_at("/websocket", backstage.proxy())
        .layer(keepalive)
        .layer(ReadTimeoutLayer::new(read_timeout));
    let gateway = Gateway::serving(app).await;
    let mut ends = backstage.open(&gateway.target()).await;
    let opened = Instant::now();
    while opened.elapsed() < read_timeout + EVERY {
        let ping = ends.client.frame().await;
        assert_eq!(ping.opcode, 0x9, "{ping:?}");
        ends.client.send(Frame::pong(ping.payload)).await;
    }
    // The next thing that the upstream reads: of pings and pongs it saw none.
    passes(&mut ends).await;
    drop(ends);
    gateway.join().await;
}

#[tokio::test]
async fn what_either_side_says_is_life_to_nginx_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    stays_open_in_nginx(&mut backstage).await;

    let app = mounted_at("/websocket", backstage.proxy());
    let app = app.layer(ReadTimeoutLayer::new(Duration::from_millis(500)));
    let gateway = Gateway::serving(app).await;
    let mut ends = backstage.open(&gateway.target()).await;
    let close = next_besides_news(&mut ends.client, &mut ends.upstream).await;
    assert_eq!(close, Frame::close(1001, "read timeout"));
    drop(ends);
    gateway.join().await;

    // Of a process that hangs the socket is still alive, and takes what comes.
    for hangs in [Side::Client, Side::Upstream] {
        let gateway = asking(hangs, backstage.proxy()).await;
        let mut ends = backstage.open(&gateway.target()).await;
        let (talker, hung) = match hangs {
            Side::Client => (&mut ends.upstream, &mut ends.client),
            Side::Upstream => (&mut ends.client, &mut ends.upstream),
        };
        let reading = async { while hung.next().await.is_ok() {} };
        let talking = async {
            loop {
                match timeout(PAUSE, talker.frame()).await {
                    Ok(told) => return told,
                    Err(_) => talker.send(news()).await,
                }
            }
        };
        let (told, ()) = tokio::join!(talking, reading);
        assert_eq!(told.close_parts(), gone(), "{hangs:?}");
        drop(ends);
        gateway.join().await;
    }
}

#[tokio::test]
async fn a_side_that_takes_nothing_is_told_of_by_wsgate_alone() {
    let _trace = trace::init();
    let mut backstage = Backstage::new().await;
    let lines = "send_timeout 500ms; proxy_send_timeout 500ms;";
    let (nginx, target) = start_nginx(&backstage.location_with(lines)).await;
    for stuck in [Side::Client, Side::Upstream] {
        let told = flood_against(stuck, backstage.open(&target).await).await;
        assert_eq!(told, None, "{stuck:?}");
    }
    nginx.stop().await;

    for stuck in [Side::Client, Side::Upstream] {
        let gateway = asking(stuck, backstage.proxy()).await;
        let ends = backstage.open(&gateway.target()).await;
        let told = flood_against(stuck, ends).await;
        assert_eq!(told.unwrap().close_parts(), gone(), "{stuck:?}");
        gateway.join().await;
    }
}

// ===== what several of them do =====

/// Which of the two ends of a tunnel.
#[derive(Clone, Copy, Debug)]
enum Side {
    Client,
    Upstream,
}

/// Neither side says anything, and neither is told anything.
async fn ends_in_nginx(backstage: &mut Backstage, lines: &str) {
    let (nginx, target) = start_nginx(&backstage.location_with(lines)).await;
    let mut ends = backstage.open(&target).await;
    assert!(matches!(ends.client.end().await, End::Eof));
    assert!(matches!(ends.upstream.end().await, End::Eof));
    nginx.stop().await;
}

/// For longer than `proxy_read_timeout`, although one side, whichever, does nothing but read.
async fn stays_open_in_nginx(backstage: &mut Backstage) {
    let location = backstage.location_with("proxy_read_timeout 1500ms;");
    let (nginx, target) = start_nginx(&location).await;
    let mut one = backstage.open(&target).await;
    let mut other = backstage.open(&target).await;
    tokio::join!(
        talk(&mut one.client, &mut one.upstream),
        talk(&mut other.upstream, &mut other.client),
    );
    nginx.stop().await;
}

async fn talk(speaker: &mut Tunnel, listener: &mut Tunnel) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(2200) {
        speaker.send(news()).await;
        assert_eq!(listener.frame().await.unmasked(), news());
        sleep(PAUSE).await;
    }
}

/// What the client reads that is none of the news which the upstream sends all the time.
async fn next_besides_news(client: &mut Tunnel, upstream: &mut Tunnel) -> Frame {
    loop {
        // It may be over by now.
        let _ = upstream.try_send(news()).await;
        while let Ok(frame) = timeout(PAUSE, client.frame()).await {
            if frame != news() {
                return frame;
            }
        }
    }
}

/// wsgate with a keepalive towards one side.
async fn asking(side: Side, proxy: WebSocketProxy) -> Gateway {
    let keepalive = KeepaliveLayer::every(EVERY);
    let app = match side {
        Side::Client => mounted_at("/websocket", proxy).layer(keepalive),
        Side::Upstream => mounted_at("/websocket", proxy.upstream_keepalive(keepalive)),
    };
    Gateway::serving(app).await
}

fn news() -> Frame {
    Frame::text("news")
}

/// What the living side is told of a dead one.
fn gone() -> Option<(u16, String)> {
    Frame::close(1011, "pong timeout").close_parts()
}

/// A message passes both ways.
async fn passes(ends: &mut Ends) {
    let still = Frame::text("still here");
    ends.client.send(still.clone()).await;
    assert_eq!(ends.upstream.frame().await.unmasked(), still);
    ends.upstream.send(still.clone()).await;
    assert_eq!(ends.client.frame().await, still);
}

/// One side reads nothing. The other writes as fast as that is taken, until something comes back to
/// it: a frame, or the end. Then what the first had not read is followed by its end.
async fn flood_against(stuck: Side, ends: Ends) -> Option<Frame> {
    let Ends { client, upstream } = ends;
    let (mut stuck, talker) = match stuck {
        Side::Client => (client, upstream),
        Side::Upstream => (upstream, client),
    };
    let told = flood(talker).await;
    while stuck.next().await.is_ok() {}
    told
}

/// Writes as fast as it is taken, until something comes back.
async fn flood(tunnel: Tunnel) -> Option<Frame> {
    let (io, mut buffer) = tunnel.into_parts();
    let (mut reader, mut writer) = tokio::io::split(io);
    let frame = Frame::binary(vec![7; 0x1_0000]).masked([0; 4]).to_bytes();
    let writing = async {
        while writer.write_all(&frame).await.is_ok() {}
        pending().await
    };
    let reading = async {
        loop {
            if let Some(frame) = Frame::take_from(&mut buffer) {
                return Some(frame);
            }
            match reader.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    };
    within("an answer to the flood", async {
        tokio::select! {
            told = reading => told,
            () = writing => unreachable!("it is never over"),
        }
    })
    .await
}

/// Between one message and the next of a side that talks all the time.
const PAUSE: Duration = Duration::from_millis(50);

/// How often is asked for a sign of life, and how long it may take.
const EVERY: Duration = Duration::from_millis(300);
