//! Three upstreams and a policy of one's own: `cargo run -p example-load-balance`
//!
//! Open WebSockets at <ws://127.0.0.1:8080/rooms/red>, `/rooms/green` and so on, with
//! `websocat`, say. Each greets with the upstream it has reached: those of a room all reach the same.
//! The log tells how the tunnels are spread, whenever that changes.

use std::{env, io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::any,
};
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};
use wsgate::{
    WebSocketProxy,
    proxy::{
        Upstream,
        upstream::{Balance, Candidate, Candidates, EndpointSettings, Handshake, LeastTunnels},
    },
};

/// One room, one endpoint, by the letters of its name; where that can't take a tunnel, and for whoever is
/// in no room, the emptiest.
#[derive(Debug)]
struct ByRoom;

impl Balance for ByRoom {
    fn choose<'a>(
        &self,
        handshake: &Handshake<'_>,
        candidates: &Candidates<'a>,
    ) -> Option<Candidate<'a>> {
        let room = handshake.path.strip_prefix("/rooms/");
        let own = room.and_then(|room| {
            let sum: usize = room.bytes().map(usize::from).sum();
            candidates.get(sum % candidates.total())
        });
        own.or_else(|| LeastTunnels::new().choose(handshake, candidates))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let mut rooms = Upstream::builder("rooms").balance(ByRoom);
    for name in ["first", "second", "third"] {
        let address = echo(name).await?;
        rooms = rooms.endpoint(EndpointSettings::new(&format!("http://{address}"))?);
    }
    let rooms = rooms.build()?;
    tokio::spawn(tell(rooms.clone()));

    let app = Router::new().route("/rooms/{room}", any(WebSocketProxy::to_upstream(rooms)));
    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

/// Logs how many tunnels each endpoint has, whenever that is not what it was.
async fn tell(rooms: Upstream) {
    let mut told = Vec::new();
    let mut looks = interval(Duration::from_millis(200));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let tunnels: Vec<_> = rooms.endpoints().iter().map(|e| e.tunnels).collect();
        if tunnels != told {
            tracing::info!("live tunnels: {tunnels:?}");
            told = tunnels;
        }
    }
}

// ===== an upstream that knows nothing of the others =====

/// Serves on a free port, until the program ends.
async fn echo(name: &'static str) -> io::Result<SocketAddr> {
    let greet = move |ws: WebSocketUpgrade| async move {
        ws.on_upgrade(move |socket| answer(socket, name))
    };
    let app = Router::new().route("/rooms/{room}", any(greet));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn answer(mut socket: WebSocket, name: &str) {
    let mut answer = Some(Ok(Message::from(format!("this is the {name} upstream"))));
    while let Some(Ok(message)) = answer {
        if socket.send(message).await.is_err() {
            return;
        }
        answer = socket.recv().await;
    }
}
