//! Sockets of any kind, and patience.

use std::fmt::Debug;
use std::io;
use std::net::TcpListener;
use std::ops::Range;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

/// A connected socket, with or without TLS.
pub trait Io: AsyncRead + AsyncWrite + Debug + Unpin + Send + 'static {
    /// Closes the socket so that the peer sees a reset and not an end, where the kind of socket can.
    fn reset(self: Box<Self>);
}

impl Io for TcpStream {
    fn reset(self: Box<Self>) {
        // Closing with a linger time of zero sends RST.
        self.set_zero_linger()
            .expect("a connected socket takes options");
    }
}

impl Io for UnixStream {
    fn reset(self: Box<Self>) {}
}

impl Io for server::TlsStream<TcpStream> {
    fn reset(self: Box<Self>) {
        Box::new(self.into_inner().0).reset();
    }
}

impl Io for client::TlsStream<TcpStream> {
    fn reset(self: Box<Self>) {
        Box::new(self.into_inner().0).reset();
    }
}

/// Waits for something that must happen soon; a hang becomes a failure that says what hung.
///
/// The limit is half a minute, far beyond what anything takes on a busy machine.
///
/// # Panics
///
/// When it does not happen.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: nothing happened for {PATIENCE:?}"),
    }
}

/// A port of 127.0.0.1 for a program that cannot choose one itself, or that comes back to it: it
/// lies below those that the system gives to whoever asks for any, so that no other test gets it.
///
/// # Panics
///
/// When not one is free.
pub fn fixed_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    // Tests in other processes begin elsewhere.
    let first = process::id().wrapping_mul(131);
    let mut ports = (0..PORTS.len()).map(|_| {
        let call = u32::from(CALLS.fetch_add(1, Ordering::Relaxed));
        PORTS.start + (first.wrapping_add(call) % PORTS.len() as u32) as u16
    });
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("one of ten thousand ports is free")
}

/// Reads until `buffer` holds `end`, and returns what comes before and with it. The rest stays.
///
/// # Errors
///
/// When the peer ends or resets the connection before that.
pub(crate) async fn read_until<R>(
    reader: &mut R,
    buffer: &mut BytesMut,
    end: &[u8],
) -> io::Result<BytesMut>
where
    R: AsyncRead + Unpin + ?Sized,
{
    loop {
        if let Some(at) = buffer.windows(end.len()).position(|window| window == end) {
            return Ok(buffer.split_to(at + end.len()));
        }
        if reader.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// How long [`within`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where [`fixed_port`] looks. Linux gives ports from 32768 on, others from 49152 on.
const PORTS: Range<u16> = 20_000..30_000;
