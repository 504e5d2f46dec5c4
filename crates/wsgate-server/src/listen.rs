//! The listeners of a server, and how HTTP is spoken on them.

use std::io;
use std::net::{SocketAddr, TcpListener as Socket};
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum_server::{Handle, Server as AxumServer};
use tokio::net::TcpListener;
use tokio::runtime;

use crate::error::{ServerError, ServerErrorKind};
use crate::handshake_log::HandshakeLog;
use crate::limits::Limits;
use crate::redirect::{self, PlainHttp};

/// A listener that accepts nothing yet.
pub(crate) struct Prepared {
    /// Which its socket belongs to.
    pub(crate) runtime: runtime::Handle,
    pub(crate) handle: Handle<SocketAddr>,
    pub(crate) server: AxumServer<SocketAddr>,
}

/// Gives a socket to each of the runtimes.
pub(crate) fn prepare(
    runtimes: &[runtime::Handle],
    sockets: Vec<Socket>,
    limits: &Limits,
    log: &Arc<HandshakeLog>,
) -> Result<Vec<Prepared>, ServerError> {
    let prepare_one = |(runtime, socket): (&runtime::Handle, Socket)| {
        let handle = Handle::new();
        let listener = watched(runtime, socket).map_err(|error| {
            let what = "the operating system does not let a listening socket be watched";
            ServerError::new(ServerErrorKind::Address, what).because(error)
        })?;
        Ok(Prepared {
            runtime: runtime.clone(),
            server: server(listener, limits, log).handle(handle.clone()),
            handle,
        })
    };
    runtimes.iter().zip(sockets).map(prepare_one).collect()
}

/// A socket is watched by one runtime for good.
fn watched(runtime: &runtime::Handle, socket: Socket) -> io::Result<TcpListener> {
    let _entered = runtime.enter();
    TcpListener::from_std(socket)
}

/// What all our listeners have in common. Narrowing to HTTP/1.1 is a matter of ALPN:
/// `http1_only` would break upgrades.
fn server(
    listener: TcpListener,
    limits: &Limits,
    log: &Arc<HandshakeLog>,
) -> AxumServer<SocketAddr> {
    let log = Arc::clone(log);
    let mut server = AxumServer::from_listener(listener)
        .first_request_timeout(limits.first_request)
        .accept_error_handler(move |peer, error| log.note(peer, error));
    let builder = server.http_builder();
    let head = limits.request_head;
    builder
        .http1()
        .header_read_timeout(limits.header_read)
        .max_buf_size(head);
    builder
        .http2()
        .max_header_list_size(u32::try_from(head).expect("a MiB at most"))
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS_BY_CLIENT)
        .max_local_error_reset_streams(RESETS_BY_US)
        // RFC 8441 3: without the setting no client opens a WebSocket over HTTP/2.
        .enable_connect_protocol()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(limits.http2_ping_interval)
        .keep_alive_timeout(limits.http2_ping_timeout);
    server
}

/// What is served where everyone is sent to https.
pub(crate) fn redirect_app(https_port: u16) -> Router {
    let came = PlainHttp::OnRedirectPort { https_port };
    Router::new().fallback(move |request: Request| async move {
        let (head, _) = request.into_parts();
        redirect::answer(&head, came)
    })
}

/// How much of one HTTP/2 stream is taken before the application has read it: 20 Mbit/s over a
/// round trip of 100 ms. It is for the network alone to ask for: relayed messages of 1 MiB cost the same
/// CPU, to 5 %, with any window from 64 KiB to 1 MiB.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The same for all streams of a connection. 64 of them may stand unread before the others do too;
/// with a window no bigger than a stream's, as hyper has it, one would stop all.
const CONNECTION_WINDOW: u32 = 64 * STREAM_WINDOW;

/// How many requests and WebSockets of one connection may be open at once; more are refused, and wait in
/// an honest client. hyper's default, said here because it says that it may change.
const STREAMS: u32 = 200;

/// How many streams a client may have reset before they were even looked at: "rapid reset"
/// (CVE-2023-44487). One more ends the connection. It is h2's default; what was looked at is
/// [`Patience`](crate::patience::Patience)'s.
const RESETS_BY_CLIENT: usize = 20;

/// How many streams of a connection may end by a reset of our own, for what their client did wrong:
/// "made you reset" (CVE-2025-8671). One more ends the connection. hyper lets 1,024 pass; a client that
/// is no attacker makes none.
const RESETS_BY_US: usize = 64;
