//! The relay between scripted streams, with the clock paused.

mod ends;
mod flow;
mod layers;
mod patience;
mod recall;

use std::{
    io::{self, Write},
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    task::JoinHandle,
    time::Instant,
};
use tokio_test::{assert_pending, task};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;
use wsgate_layer::handshake::Kind;

use super::{Labels, relay::Relay};
use crate::upstream::{EndpointSettings, Handshake, Lease, Upstream};

/// Close 1000 "bye" as a server sends it, and masked with zeros as a client does.
const SERVER_CLOSE: &[u8] = b"\x88\x05\x03\xe8bye";
const CLIENT_CLOSE: &[u8] = b"\x88\x85\0\0\0\0\x03\xe8bye";
/// The farewell to a client whose upstream is lost.
const LOST: &[u8] = b"\x88\x0f\x03\xf6upstream lost";

/// A relay between two pipes of this size, with their far ends: the client's and the upstream's.
fn relay(pipe: usize) -> (DuplexStream, DuplexStream, JoinHandle<()>) {
    let ((client, near), (upstream, far)) = (duplex(pipe), duplex(pipe));
    let relay = tokio::spawn(relay_of(near, far));
    (client, upstream, relay)
}

fn relay_of<C, U>(client: C, upstream: U) -> Relay<C, U> {
    relay_with(lease(), client, upstream)
}

fn relay_with<C, U>(lease: Lease, client: C, upstream: U) -> Relay<C, U> {
    let labels = Labels {
        client: "192.0.2.7:50000".into(),
        route: "/websocket".into(),
        kind: Kind::Upgrade,
        lease,
        parent: None,
    };
    Relay::new(client, upstream, labels)
}

fn lease() -> Lease {
    let endpoint = EndpointSettings::new("http://127.0.0.1:9000").unwrap();
    let upstream = Upstream::single(endpoint).unwrap();
    upstream
        .tries()
        .next(&handshake(&HeaderMap::new()))
        .unwrap()
}

fn handshake(headers: &HeaderMap) -> Handshake<'_> {
    Handshake {
        headers,
        path: "/websocket",
        query: None,
        client: None,
        is_secure: true,
    }
}

async fn expect(io: &mut DuplexStream, expected: &[u8]) {
    let mut seen = vec![0; expected.len()];
    io.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, expected);
}

/// Reads a frame of a client and takes its mask off.
async fn unmasked(io: &mut DuplexStream) -> Vec<u8> {
    let mut head = [0; 6];
    io.read_exact(&mut head).await.unwrap();
    let mut payload = vec![0; usize::from(head[1] & 0x7f)];
    io.read_exact(&mut payload).await.unwrap();
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= head[2 + at % 4];
    }
    [&[head[0], head[1] & 0x7f][..], &payload].concat()
}

async fn expect_end(io: &mut DuplexStream) {
    let mut rest = Vec::new();
    io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

// ===== what is logged =====

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn capture() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false);
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    #[track_caller]
    fn assert_has(&self, fields: &[&str]) {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        for field in fields {
            assert!(log.contains(field), "{field} is not in {log}");
        }
    }
}

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
