//! Clients that leave before they have a tunnel, at any point of a handshake.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wsgate_tests::Io;
use wsgate_tests::client::{Handshake, Target};

use crate::random::Random;
use crate::session::World;

/// Sends them one by one, and now and then in a crowd.
pub(crate) async fn come_and_go(world: Arc<World>, mut random: Random) {
    let raw = Target::plain(world.addr);
    let mut stunts = JoinSet::new();
    while !world.leaving.is_cancelled() {
        let crowd = if random.percent(3) { CROWD } else { 1 };
        for _ in 0..crowd {
            let (tls, raw, random) = (world.target.clone(), raw.clone(), random.fork());
            let tally = Arc::clone(&world.tally);
            stunts.spawn(async move { tally.one(stunt(tls, raw, random).await) });
        }
        sleep(random.millis(50..300)).await;
        while stunts.try_join_next().is_some() {}
    }
    while stunts.join_next().await.is_some() {}
}

/// Says what it was, for the table.
async fn stunt(tls: Target, raw: Target, mut random: Random) -> &'static str {
    let soon = random.millis(0..30);
    match random.within(0..6) {
        0 => {
            if let Ok(io) = raw.try_connect(&[]).await {
                leave(io, &mut random);
            }
            "handshakes left: after the connect"
        }
        1 => {
            if let Ok(mut io) = raw.try_connect(&[]).await {
                let part = random.within(1..HELLO.len());
                let _ = io.write_all(&HELLO[..part]).await;
                sleep(soon).await;
                leave(io, &mut random);
            }
            "handshakes left: within a TLS hello"
        }
        2 => {
            // Wherever the handshake of TLS is by then.
            let _ = timeout(soon, tls.try_connect(&["http/1.1"])).await;
            "handshakes left: within TLS"
        }
        3 => {
            if let Ok(mut io) = tls.try_connect(&["http/1.1"]).await {
                let part = random.within(0..REQUEST.len());
                let _ = io.write_all(&REQUEST[..part]).await;
                let _ = io.flush().await;
                sleep(soon).await;
                leave(io, &mut random);
            }
            "handshakes left: within the request"
        }
        4 => {
            if let Ok(mut io) = tls.try_connect(&["http/1.1"]).await {
                let _ = io.write_all(REQUEST).await;
                let _ = io.flush().await;
                sleep(random.millis(0..5)).await;
                leave(io, &mut random);
            }
            "handshakes left: before the answer"
        }
        _ => {
            let _ = timeout(soon, async {
                let mut connection = tls.h2().await;
                let _ = connection.answer(Handshake::of(PATH)).await;
            })
            .await;
            "handshakes left: within HTTP/2"
        }
    }
}

fn leave(io: Box<dyn Io>, random: &mut Random) {
    if random.percent(50) {
        io.reset();
    }
}

/// At once, when they come in a crowd.
const CROWD: usize = 30;

/// The record and the beginning of a hello of TLS 1.3 (RFC 8446 4.1.2), which has 512 bytes.
const HELLO: &[u8] =
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03ABCDEFGHIJKLMNOPQRSTUVWXYZ012345\x20";

/// For a tunnel that nobody will use.
const PATH: &str = "/soak?tunnel=18446744073709551615&news=0";

const REQUEST: &[u8] =
    b"GET /soak?tunnel=18446744073709551615&news=0 HTTP/1.1\r\nHost: localhost\r\n\
    Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
