//! The handler's side: it says what it has to say while it listens, closes, and reads to the end.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    time::sleep,
};
use wsgate_frame::Tracker;

use super::{
    case::{Case, Step},
    stack::Io,
};
use crate::guard::tests::frames::{bytes, close, other};

/// What the handler has said and heard.
pub(super) struct Heard {
    pub(super) wrote: Vec<u8>,
    pub(super) read: Vec<u8>,
    pub(super) end: io::Result<()>,
}

pub(super) async fn run(case: &Case, stream: Box<dyn Io>) -> Heard {
    let (reader, writer) = tokio::io::split(stream);
    let leaves = Arc::new(Notify::new());
    let read = read(case.clone(), reader, Arc::clone(&leaves));
    let write = write(case.clone(), writer, leaves);
    // Neither half is dropped before both are done.
    let ((read, end, _reader), (wrote, _writer)) = match case.two_tasks {
        false => tokio::join!(read, write),
        true => {
            let (read, write) = (tokio::spawn(read), tokio::spawn(write));
            (read.await.unwrap(), write.await.unwrap())
        }
    };
    Heard { wrote, read, end }
}

/// Reads to the end. Says when the peer has closed or left.
async fn read(
    case: Case,
    mut reader: ReadHalf<Box<dyn Io>>,
    leaves: Arc<Notify>,
) -> (Vec<u8>, io::Result<()>, ReadHalf<Box<dyn Io>>) {
    let mut all = Vec::new();
    let mut tracker = Tracker::new(case.peer);
    let mut steps = case.handler_reads.iter();
    let end = loop {
        let Step(delay, size) = *steps.next().unwrap_or(&Step(0, 8192));
        pause(delay).await;
        // Without room it is only time that passes.
        let mut buf = vec![0; size.into()];
        match reader.read(&mut buf).await {
            Ok(0) if size > 0 => break Ok(()),
            Ok(n) => {
                tracker.feed(&buf[..n], |_| {});
                all.extend_from_slice(&buf[..n]);
            }
            Err(error) => break Err(error),
        }
        if tracker.is_closed() {
            leaves.notify_one();
        }
    };
    leaves.notify_one();
    (all, end, reader)
}

/// Writes all, or up to the next boundary once the peer leaves, and a Close.
async fn write(
    case: Case,
    mut writer: WriteHalf<Box<dyn Io>>,
    leaves: Arc<Notify>,
) -> (Vec<u8>, WriteHalf<Box<dyn Io>>) {
    let role = other(case.peer);
    let frames: Vec<_> = case.handler_sends.iter().flat_map(|u| u.frames()).collect();
    let mut all = Vec::new();
    let mut boundaries = vec![0];
    for frame in &frames {
        all.extend(frame.by(role));
        boundaries.push(all.len());
    }
    let mut steps = case.handler_writes.iter();
    let mut flushes = case.flushes.iter();
    let mut wrote = 0;
    let mut left = false;
    while wrote < all.len() {
        let Step(delay, size) = *steps.next().unwrap_or(&Step(0, u16::MAX));
        if !left {
            let leaves = leaves.notified();
            let wait = tokio::time::timeout(Duration::from_millis(delay.into()), leaves);
            if wait.await.is_ok() {
                left = true;
                all.truncate(*boundaries.iter().find(|b| **b >= wrote).unwrap());
            }
        }
        let end = all.len().min(wrote + usize::from(size));
        match writer.write(&all[wrote..end]).await {
            Ok(n) => wrote += n,
            Err(_) => return (all[..wrote].to_vec(), writer),
        }
        if flushes.next() == Some(&true) && writer.flush().await.is_err() {
            return (all[..wrote].to_vec(), writer);
        }
    }
    let last = bytes(role, &[close(1000, "bye")]);
    if writer.write_all(&last).await.is_ok() {
        all.extend(last);
    }
    let _ = writer.flush().await;
    (all, writer)
}

async fn pause(ms: u8) {
    if ms > 0 {
        sleep(Duration::from_millis(ms.into())).await;
    }
}
