//! The chat service: rooms over WebSockets, JSON in text frames.
//!
//! It knows nothing of TLS, HTTP/2 or the proxy before it, and runs just as well by itself.
//!
//! ```text
//! mod.rs       the route, the limits            protocol.rs   what the frames say
//! rooms.rs     who is where, what was said      session.rs    one connection, from hello to Close
//! names.rs     what may be called what          pace.rs       how fast is too fast
//! ```

mod names;
mod pace;
pub(crate) mod protocol;
mod rooms;
mod session;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

pub(crate) use self::rooms::Hub;
use self::{
    pace::Pace,
    protocol::{Bounds, CLIENT_PROTOCOL},
    session::Session,
};

/// How much of everything there may be. What a client, or many of them, can make us hold is bounded.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Connections at a time; one more is answered 503.
    pub(crate) connections: usize,
    /// Rooms at a time, empty ones that are still remembered included.
    pub(crate) rooms: usize,
    /// People in one room.
    pub(crate) people: usize,
    /// Messages that a newcomer is shown.
    pub(crate) history: usize,
    /// Frames that may wait for one slow reader before it is told that it missed some.
    pub(crate) queue: usize,
    /// Characters in a room's name, a person's name, a message, a message's key.
    pub(crate) room_chars: usize,
    pub(crate) name_chars: usize,
    pub(crate) text_chars: usize,
    pub(crate) key_chars: usize,
    /// Bytes in a frame from a client: room for the longest message with every character escaped
    /// (`"\ud83d\ude00"` is twelve bytes). A longer one is answered with Close 1009.
    pub(crate) frame_bytes: usize,
    /// Frames from one client: so many at once, and one more each time this long has passed.
    pub(crate) pace: Pace,
    /// Refused frames from one client, likewise; beyond them it is sent away with Close 1008.
    pub(crate) patience: Pace,
    /// How long an empty room and what was said there are remembered.
    pub(crate) memory: Duration,
    /// How often a client that says nothing is pinged. Below the 60 s after which many a proxy
    /// between us gives up on a silent connection.
    pub(crate) ping: Duration,
    /// How long a client may be silent, pongs included, until it counts as gone.
    pub(crate) silence: Duration,
    /// How long one frame may take to be accepted by the client's connection.
    pub(crate) send: Duration,
    /// The least time between two lists of rooms to the same client.
    pub(crate) rooms_every: Duration,
}

/// A running chat service.
#[derive(Debug)]
pub(crate) struct Service {
    hub: Hub,
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

// ===== impl Service =====

impl Service {
    /// Serves the hub's rooms at [`PATH`], over plain ws.
    pub(crate) async fn start(addr: SocketAddr, hub: Hub) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let app = Router::new()
            .route(PATH, any(websocket))
            .with_state(hub.clone());
        let serve = axum::serve(listener, app).with_graceful_shutdown(async {
            // Dropped unsent when the service is dropped, which is to stop it as well.
            let _ = stopped.await;
        });
        let task = tokio::spawn(serve.into_future());
        Ok(Self {
            hub,
            addr,
            stop,
            task,
        })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Tells everybody goodbye, and returns when they and the listener are gone.
    pub(crate) async fn stop(self) -> io::Result<()> {
        self.hub.close().await;
        // The receiver is gone only if serving has ended already.
        let _ = self.stop.send(());
        self.task.await?
    }
}

async fn websocket(
    State(hub): State<Hub>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some(seat) = hub.seat() else {
        let retry = [(RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, retry, "the chat is full\n").into_response();
    };
    let protocol = headers
        .get(CLIENT_PROTOCOL)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    upgrade
        // The default of 128 KiB is held by every connection for all its life.
        .read_buffer_size(1024)
        // Past this the connection just ends. It is twice what the session takes, so that a message
        // that is only somewhat too long gets its Close 1009.
        .max_message_size(2 * hub.limits().frame_bytes)
        .on_upgrade(move |socket| Session::new(socket, hub, seat).run(protocol))
}

// ===== impl Limits =====

impl Limits {
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            name: self.name_chars,
            room: self.room_chars,
            text: self.text_chars,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2_000,
            rooms: 100,
            people: 200,
            history: 100,
            queue: 256,
            room_chars: 32,
            name_chars: 32,
            text_chars: 2_000,
            key_chars: 64,
            frame_bytes: 32 * 1024,
            pace: Pace::new(30, Duration::from_millis(100)),
            patience: Pace::new(20, Duration::from_secs(5)),
            memory: Duration::from_secs(600),
            ping: Duration::from_secs(25),
            silence: Duration::from_secs(60),
            send: Duration::from_secs(20),
            rooms_every: Duration::from_millis(500),
        }
    }
}

/// Where the service listens for handshakes, and so the site too: the proxy passes the path on.
pub(crate) const PATH: &str = "/websocket";
