//! A plain axum app with a WebSocket, and five lines: `cargo run -p example-layers-on-axum`
//!
//! Open <http://127.0.0.1:8080> and leave it alone: the pings keep it open. Stop the program with
//! Ctrl-C: the page is told why, and so is the handler.

use std::{env, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::{Html, Response},
    routing::{any, get},
};
use tokio::net::TcpListener;
use wsgate::{
    layer::{Drain, KeepaliveLayer, LimitLayer, OriginLayer, ReadTimeoutLayer},
    server::shutdown_signal,
};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt().init();
    let drain = Drain::new();
    let limits = LimitLayer::new()
        .tunnels_per_client(100)
        .message_size(MAX_MESSAGE);
    let app = Router::new()
        .route("/", get(async || Html(include_str!("page.html"))))
        .route("/websocket", any(upgrade))
        // The five lines. The last one is the outermost, the nearest to the wire.
        .layer(KeepaliveLayer::every(Duration::from_secs(25)))
        .layer(ReadTimeoutLayer::new(Duration::from_secs(60)))
        .layer(limits)
        .layer(OriginLayer::same_origin())
        .layer(drain.layer());

    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    // The limit per client needs the client's address.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            shutdown_signal().await;
            drain.within(Duration::from_secs(30)).await;
        })
        .await
}

// ===== an app that knows nothing of layers =====

async fn upgrade(ws: WebSocketUpgrade) -> Response {
    ws.on_upgrade(echo)
}

async fn echo(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// In bytes.
const MAX_MESSAGE: u64 = 64 * 1024;
