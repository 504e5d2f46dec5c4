//! Clients that ask for more than they read.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::HttpBody;
use bytes::Bytes;
use tokio::sync::oneshot;

/// How a client begins with HTTP/2: the preface and settings.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A body without an end, which tells when it is dropped.
pub(crate) struct Endless(
    #[expect(dead_code, reason = "it is held")] pub(crate) oneshot::Sender<()>,
);

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let data = Bytes::from_static(&[7; 16 * 1024]);
        Poll::Ready(Some(Ok(http_body::Frame::data(data))))
    }
}

/// The preface, settings and a WINDOW_UPDATE that ask for all at once, and `GET /endless`.
pub(crate) fn greedy() -> Vec<u8> {
    let mut bytes = PREFACE[..24].to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 6.5.2).
    bytes.extend_from_slice(b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff");
    bytes.extend_from_slice(b"\0\0\x04\x08\0\0\0\0\0\x7f\0\0\0");
    // :method GET, :scheme https, :path and :authority as literals (RFC 7541 6.2.2).
    let mut block = b"\x82\x87\x04\x08/endless\x01\x09localhost".to_vec();
    bytes.extend_from_slice(&[0, 0, block.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.append(&mut block);
    bytes
}
