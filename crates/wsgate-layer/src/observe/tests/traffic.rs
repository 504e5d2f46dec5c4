//! What has passed is told while it passes, and all of it in the end.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
    time::{Instant, advance, sleep},
};

use super::{super::*, harness::*};
use crate::upgrade::UpgradedIo;

const SECOND: Duration = Duration::from_secs(1);

/// A handler that only reads.
fn reader(mut stream: UpgradedIo) -> JoinHandle<usize> {
    tokio::spawn(async move { stream.read_to_end(&mut Vec::new()).await.unwrap() })
}

#[tokio::test(start_paused = true)]
async fn is_told_every_ten_seconds_while_there_is_some() {
    let diary = Diary::default();
    let (_, mut client, handler) = open(&ObserveLayer::new(diary.clone())).await;
    let handler = reader(handler);
    diary.read();

    client.write_all(CLIENT_HELLO).await.unwrap();
    sleep(9 * SECOND).await;
    client.write_all(CLIENT_HELLO).await.unwrap();
    sleep(SECOND / 2).await;
    assert!(diary.read().is_empty());
    sleep(SECOND).await;
    assert_eq!(diary.read(), ["traffic 2/22 0/0"]);

    // Nothing passes, so nothing is told.
    sleep(60 * SECOND).await;
    assert!(diary.read().is_empty());

    // Half a frame is bytes, but no message yet.
    client.write_all(&CLIENT_HELLO[..8]).await.unwrap();
    sleep(11 * SECOND).await;
    assert_eq!(diary.read(), ["traffic 0/8 0/0"]);
    client.write_all(&CLIENT_HELLO[8..]).await.unwrap();
    drop(client);
    assert_eq!(handler.await.unwrap(), 3 * CLIENT_HELLO.len());
    let told = diary.read();
    assert_eq!(told[0], "traffic 1/3 0/0");
    assert_eq!(told.len(), 2, "{told:?}");
}

/// Does not want to know what passes.
struct Incurious(Diary);

impl Observer for Incurious {
    fn wants_traffic(&self) -> bool {
        false
    }

    fn traffic(&self, handshake: &Handshake<'_>, traffic: &Traffic) {
        self.0.traffic(handshake, traffic);
    }
}

#[tokio::test(start_paused = true)]
async fn is_told_to_those_who_want_it() {
    let (curious, incurious) = (Diary::default(), Diary::default());
    let layer = ObserveLayer::new(Incurious(incurious.clone())).and(curious.clone());
    let (_, mut client, handler) = open(&layer).await;
    let handler = reader(handler);
    curious.read();

    client.write_all(CLIENT_HELLO).await.unwrap();
    sleep(11 * SECOND).await;
    assert_eq!(curious.read(), ["traffic 1/11 0/0"]);
    assert!(incurious.read().is_empty());
    drop(client);
    handler.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_websocket_has_no_timer() {
    let diary = Diary::default();
    let (_, client, handler) = open(&ObserveLayer::new(diary.clone())).await;
    let handler = reader(handler);
    let start = Instant::now();
    // Paused time jumps to the next timer as soon as nothing else is to be done: there is only ours.
    sleep(3600 * SECOND).await;
    assert_eq!(start.elapsed(), 3600 * SECOND);
    assert_eq!(diary.read().len(), 2, "opened, and nothing since");
    drop(client);
    handler.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_is_told_of_too() {
    let diary = Diary::default();
    let (_, mut client, mut handler) = open(&ObserveLayer::new(diary.clone())).await;
    diary.read();
    let mut hello = [0; CLIENT_HELLO.len()];
    for _ in 0..12 {
        // There always is something to read, so that the timer is never polled.
        client.write_all(CLIENT_HELLO).await.unwrap();
        advance(SECOND).await;
        handler.read_exact(&mut hello).await.unwrap();
    }
    assert_eq!(diary.read(), ["traffic 11/121 0/0"]);
    drop(handler);
    assert_eq!(diary.read()[0], "traffic 1/11 0/0");
}
