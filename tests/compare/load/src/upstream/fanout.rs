//! What a publisher sends goes to all subscribers, in the order in which it came.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::echo::{self, Turner};
use crate::scratch;

/// Who listens, on all threads.
#[derive(Debug, Default)]
pub(super) struct Fanout {
    /// Replaced whole, so that publishing holds no lock.
    subscribers: Mutex<Arc<Vec<mpsc::Sender<Bytes>>>>,
}

/// A place among the subscribers; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Subscription {
    frames: mpsc::Receiver<Bytes>,
}

// ===== impl Fanout =====

impl Fanout {
    pub(super) fn subscribe(&self) -> Subscription {
        let (sender, frames) = mpsc::channel(QUEUE);
        let mut subscribers = self.lock();
        let others = subscribers.iter().filter(|other| !other.is_closed());
        *subscribers = Arc::new(others.cloned().chain([sender]).collect());
        Subscription { frames }
    }

    /// Sends whole frames to everyone. The slowest subscriber holds the publisher back.
    async fn publish(&self, frames: Bytes) {
        let subscribers = Arc::clone(&*self.lock());
        for subscriber in &*subscribers {
            // One that has left misses nothing.
            let _ = subscriber.send(frames.clone()).await;
        }
    }

    /// Serves a publisher to its end.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or more than [`MESSAGE_LIMIT`] bytes come without an end of a frame.
    pub(super) async fn publish_from(&self, mut tcp: TcpStream, early: &[u8]) -> Result<()> {
        let mut turner = Turner::new();
        let mut frames = Vec::new();
        let mut input = early.to_vec();
        loop {
            turner.turn(&input, &mut frames)?;
            if let Some(at) = turner.closed_at() {
                let answer = frames.split_off(at);
                self.publish(frames.into()).await;
                tcp.write_all(&answer).await?;
                return echo::end(tcp).await;
            }
            if frames.len() > MESSAGE_LIMIT {
                bail!("a message of more than {MESSAGE_LIMIT} bytes");
            }
            if turner.is_between_frames() && !frames.is_empty() {
                self.publish(std::mem::take(&mut frames).into()).await;
            }
            input.clear();
            input.reserve(scratch::SIZE);
            if tcp.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Vec<mpsc::Sender<Bytes>>>> {
        self.subscribers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Subscription =====

impl Subscription {
    /// Serves a subscriber to its end. What it sends itself comes back to it alone.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or something comes that no client sends.
    pub(super) async fn run(mut self, mut tcp: TcpStream, early: &[u8]) -> Result<()> {
        let mut turner = Turner::new();
        let (mut out, mut batch) = (Vec::new(), Vec::new());
        let mut input = [0; 1024];
        turner.turn(early, &mut out)?;
        loop {
            tcp.write_all(&out).await?;
            out.clear();
            if turner.closed_at().is_some() {
                return echo::end(tcp).await;
            }
            tokio::select! {
                count = tcp.read(&mut input) => match count? {
                    0 => return Ok(()),
                    count => turner.turn(&input[..count], &mut out)?,
                },
                _ = self.frames.recv_many(&mut batch, BATCH), if turner.is_between_frames() => {
                    for frames in batch.drain(..) {
                        out.extend_from_slice(&frames);
                    }
                }
            }
        }
    }
}

/// Frames that wait for a subscriber. They are shared, so this is no memory to speak of.
const QUEUE: usize = 1024;

/// Frames written at once to a subscriber that lags.
const BATCH: usize = 16;

/// Beyond any size that is measured.
const MESSAGE_LIMIT: usize = 16 << 20;
