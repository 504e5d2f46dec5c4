//! A real WebSocket, opened to see whether it answers.

use std::{io, mem, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request,
    header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE},
};
use http_body_util::Empty;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use wsgate_frame::{CloseCode, ControlFrame, Event, OpCode, Role, Tracker, Violation};
use wsgate_layer::handshake::{self, Offer};

use super::ask::CheckFailure;
use crate::{
    connect::UpstreamStream,
    error::UpstreamFailure,
    forward::{UpstreamBody, exchange},
};

/// One that an endpoint has opened.
#[derive(Debug)]
pub(super) struct Open {
    io: UpstreamStream,
    /// What came with the 101.
    early: Bytes,
    tracker: Tracker,
}

/// What bytes brought.
#[derive(Debug, Default)]
struct Came {
    pong: bool,
    close: bool,
    no_frames: bool,
}

/// Sends this request as a handshake.
pub(super) async fn open(
    stream: UpstreamStream,
    mut req: Request<Empty<Bytes>>,
) -> Result<Open, CheckFailure> {
    let headers = req.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    let version = HeaderValue::from_static(handshake::VERSION);
    headers.insert(SEC_WEBSOCKET_VERSION, version);
    headers.insert(SEC_WEBSOCKET_KEY, handshake::new_key());
    let offer = Offer::of(headers);

    let res = exchange(stream, req).await;
    let res = res.map_err(UpstreamFailure::exchanging)?;
    if matches!(res.body(), UpstreamBody::Upgraded(_)) {
        offer.check(&res).map_err(UpstreamFailure::Answer)?;
    }
    let status = res.status();
    match res.into_body() {
        UpstreamBody::Upgraded(parts) => Ok(Open {
            io: parts.io,
            early: parts.early_data,
            tracker: Tracker::new(Role::Server),
        }),
        _ => Err(CheckFailure::NotOpened(status)),
    }
}

// ===== impl Open =====

impl Open {
    /// Sends a ping and waits for its pong, whatever else comes before.
    pub(super) async fn ping(&mut self) -> Result<(), CheckFailure> {
        let payload: [u8; 8] = rand::random();
        let ping = ControlFrame::ping(&payload, mask()).expect("8 bytes fit");
        self.io.write_all(&ping).await?;
        self.io.flush().await?;
        loop {
            let came = self.read(&payload).await?;
            if came.pong {
                return Ok(());
            }
            if came.close {
                return Err(CheckFailure::Closed);
            }
            if came.no_frames {
                return Err(CheckFailure::NoFrames);
            }
        }
    }

    /// Says goodbye, and waits a moment for the answer: who finds the connection broken would log it
    /// as an accident, and every few seconds.
    pub(super) async fn leave(mut self) {
        let close = ControlFrame::close(CloseCode::NORMAL_CLOSURE, "", mask());
        let close = close.expect("1000 may be sent");
        let parting = async {
            self.io.write_all(&close).await?;
            self.io.flush().await?;
            loop {
                let came = self.read(&[]).await?;
                if came.close || came.no_frames {
                    break;
                }
            }
            self.io.shutdown().await
        };
        // There is nobody to whom a failure would matter.
        let _: Option<io::Result<()>> = timeout(PARTING, parting).await.ok();
    }

    /// Reads once, and looks for the pong to this payload.
    async fn read(&mut self, payload: &[u8]) -> io::Result<Came> {
        let mut came = Came::default();
        let mut buffer = [0; 512];
        let early = mem::take(&mut self.early);
        let bytes = match early.is_empty() {
            false => &*early,
            true => {
                let n = self.io.read(&mut buffer).await?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                &buffer[..n]
            }
        };
        self.tracker.feed(bytes, |event| match event {
            Event::Control {
                opcode: OpCode::Pong,
                payload: found,
                ..
            } => came.pong |= found == payload,
            Event::Control {
                opcode: OpCode::Close,
                ..
            } => came.close = true,
            Event::Violation {
                violation: Violation::LengthOverflow,
                ..
            } => came.no_frames = true,
            _ => {}
        });
        Ok(came)
    }
}

/// RFC 6455 5.3: from a strong source, fresh for each frame.
fn mask() -> Option<[u8; 4]> {
    Some(rand::random())
}

/// How long an endpoint that has passed may take to answer the Close.
const PARTING: Duration = Duration::from_secs(1);
