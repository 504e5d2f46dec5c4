//! Extended CONNECT over HTTP/2 (RFC 8441), several tunnels to a connection.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::{self, ResponseFuture, SendRequest};
use h2::ext::Protocol;
use h2::{Ping, Reason, RecvStream, SendStream};
use http::{Method, Request, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_util::task::AbortOnDropHandle;

use super::{Handshake, Opened, Refused};
use crate::io::{Io, within};
use crate::{ResponseHead, Role, Tunnel};

/// A connection over HTTP/2.
#[derive(Debug)]
pub struct H2 {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
    authority: String,
    /// Moves the frames of HTTP/2; ends with the connection.
    driver: AbortOnDropHandle<Result<(), h2::Error>>,
}

// ===== impl H2 =====

impl H2 {
    pub(super) async fn start(io: Box<dyn Io>, scheme: &'static str, authority: &str) -> Self {
        // As in browsers, one stream that is not read leaves room for the others.
        let mut settings = client::Builder::new();
        settings.initial_connection_window_size(CONNECTION_WINDOW);
        let (requests, mut connection) = within("the start of HTTP/2", settings.handshake(io))
            .await
            .expect("HTTP/2 starts");
        let mut ping = connection.ping_pong().expect("nobody else took it");
        let driver = AbortOnDropHandle::new(tokio::spawn(connection));
        // Its settings come before its answer to anything, so after this we know them.
        within("the first ping", ping.ping(Ping::opaque()))
            .await
            .expect("the server answers");
        Self {
            requests,
            scheme,
            authority: authority.to_owned(),
            driver,
        }
    }

    /// Whether the server allows extended CONNECT (RFC 8441, 3).
    pub fn allows_websockets(&self) -> bool {
        self.requests.is_extended_connect_protocol_enabled()
    }

    /// Opens a tunnel beside those there are. The fields that only HTTP/1.1 has are left out.
    ///
    /// # Errors
    ///
    /// The answer, when it does not open a tunnel.
    ///
    /// # Panics
    ///
    /// When the server does not allow extended CONNECT.
    pub async fn open(&mut self, handshake: Handshake) -> Result<Opened, Refused> {
        let (response, mut io) = self.answer(handshake).await;
        if response.status != 200 {
            let mut body = Vec::new();
            within("the body of the answer", io.read_to_end(&mut body))
                .await
                .expect("a body");
            let body = body.into();
            return Err(Refused { response, body });
        }
        let tunnel = Tunnel::new(io, BytesMut::new(), Role::Client);
        Ok(Opened { response, tunnel })
    }

    /// [`H2::open`] where it must not succeed.
    ///
    /// # Panics
    ///
    /// When it does.
    pub async fn refused(&mut self, handshake: Handshake) -> Refused {
        match self.open(handshake).await {
            Ok(opened) => panic!("the handshake was accepted: {:?}", opened.response),
            Err(refused) => refused,
        }
    }

    /// Sends a handshake and reads the head of the answer, whichever it is; the stream follows.
    ///
    /// Dropping the future resets the stream, and leaves the connection as it is.
    ///
    /// # Panics
    ///
    /// When the server does not allow extended CONNECT.
    pub async fn answer(&mut self, handshake: Handshake) -> (ResponseHead, Box<dyn Io>) {
        assert!(
            self.allows_websockets(),
            "the server did not send ENABLE_CONNECT_PROTOCOL"
        );
        let mut request = match &handshake.method {
            None => self
                .request(Method::CONNECT, &handshake.target)
                .extension(Protocol::from_static(handshake.protocol)),
            Some(method) => {
                let method = method.parse().expect("a method");
                self.request(method, &handshake.target)
            }
        };
        for (name, value) in &handshake.fields {
            if !ONLY_HTTP1
                .iter()
                .any(|only| only.eq_ignore_ascii_case(name))
            {
                request = request.header(name, value.as_bytes());
            }
        }
        let (answer, mut send) = self.send(request, false).await;
        if !handshake.early.is_empty() {
            send.send_data(handshake.early.into(), false)
                .expect("the stream is open");
        }
        let (head, receive) = within("the answer to the handshake", answer)
            .await
            .expect("an answer")
            .into_parts();
        let io = Stream::new(send, receive);
        ((&head).into(), Box::new(io))
    }

    /// [`H2::open`] where it must succeed.
    ///
    /// # Panics
    ///
    /// When it does not; the answer is in the message.
    pub async fn tunnel(&mut self, handshake: Handshake) -> Tunnel {
        match self.open(handshake).await {
            Ok(opened) => opened.tunnel,
            Err(refused) => panic!("the handshake was refused: {refused:?}"),
        }
    }

    /// An ordinary request beside the tunnels.
    pub async fn get(&mut self, path: &str) -> Refused {
        let request = self.request(Method::GET, path);
        let (answer, _) = self.send(request, true).await;
        let (head, body) = within("the answer to a GET", answer)
            .await
            .expect("an answer")
            .into_parts();
        let body = within("the body of the answer", whole(body)).await;
        Refused {
            response: ResponseHead::from(&head),
            body,
        }
    }

    /// Waits for the connection to end, once all tunnels are dropped.
    ///
    /// # Panics
    ///
    /// When it ends badly, or not in time.
    pub async fn join(self) {
        let Self {
            requests, driver, ..
        } = self;
        drop(requests);
        let ended = within("the end of HTTP/2", driver)
            .await
            .expect("the driver does not panic");
        // A server that leaves without a close_notify has left all the same.
        if let Err(error) = ended {
            assert!(error.is_io(), "{error}");
        }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let uri = format!("{}://{}{path}", self.scheme, self.authority);
        Request::builder()
            .version(Version::HTTP_2)
            .method(method)
            .uri(uri)
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        end: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let request = request.body(()).expect("a request that can be said");
        let requests = std::future::poll_fn(|cx| self.requests.poll_ready(cx));
        within("room for a stream", requests)
            .await
            .expect("the connection is open");
        self.requests
            .send_request(request, end)
            .expect("the connection is open")
    }
}

impl From<&http::response::Parts> for ResponseHead {
    fn from(parts: &http::response::Parts) -> Self {
        Self {
            status: parts.status.as_u16(),
            reason: String::new(),
            fields: (&parts.headers).into(),
        }
    }
}

async fn whole(mut body: RecvStream) -> Bytes {
    let mut whole = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.expect("a body");
        body.flow_control()
            .release_capacity(data.len())
            .expect("it was received");
        whole.extend(data);
    }
    whole.freeze()
}

/// What a WebSocket over HTTP/2 does without (RFC 8441, 5), and the Host, which is `:authority`.
const ONLY_HTTP1: &[&str] = &["Host", "Upgrade", "Connection", "Sec-WebSocket-Key"];

/// Sixteen times the window of a stream.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// A stream of HTTP/2 as a socket. It takes only what the peer's window has room for.
pub(crate) struct Stream {
    send: SendStream<Bytes>,
    receive: RecvStream,
    unread: Bytes,
}

// ===== impl Stream =====

impl Stream {
    pub(crate) fn new(send: SendStream<Bytes>, receive: RecvStream) -> Self {
        Self {
            send,
            receive,
            unread: Bytes::new(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(data) => self.unread = data.map_err(into_io)?,
            }
        }
        let length = into.remaining().min(self.unread.len());
        into.put_slice(&self.unread.split_to(length));
        self.receive
            .flow_control()
            .release_capacity(length)
            .map_err(into_io)?;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        if from.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.send.reserve_capacity(from.len());
        let room = loop {
            match ready!(self.send.poll_capacity(cx)) {
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
                Some(Ok(0)) => {}
                Some(room) => break room.map_err(into_io)?,
            }
        };
        let length = room.min(from.len());
        let data = Bytes::copy_from_slice(&from[..length]);
        self.send.send_data(data, false).map_err(into_io)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(into_io))
    }
}

impl Io for Stream {
    fn reset(mut self: Box<Self>) {
        self.send.send_reset(Reason::CANCEL);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stream")
            .field(&self.receive.stream_id())
            .finish()
    }
}

fn into_io(error: h2::Error) -> io::Error {
    io::Error::other(error)
}
