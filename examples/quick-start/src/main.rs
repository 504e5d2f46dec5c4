//! A page and a WebSocket proxy over HTTPS: `cargo run -p example-quick-start`

use std::time::Duration;

use axum::{Router, routing::any, routing::get};
use wsgate::layer::{Drain, KeepaliveLayer, ReadTimeoutLayer};
use wsgate::server::{Tls, shutdown_signal};
use wsgate::{Server, WebSocketProxy};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();

    let drain = Drain::new();
    let chat = WebSocketProxy::to("http://127.0.0.1:9000")?;
    let app = Router::new()
        .route("/", get(|| async { "an ordinary page" }))
        .route("/websocket", any(chat))
        .layer(KeepaliveLayer::every(Duration::from_secs(25)))
        .layer(ReadTimeoutLayer::new(Duration::from_secs(60)))
        .layer(drain.layer());

    Server::bind(([127, 0, 0, 1], 8443))
        .tls(Tls::development()) // Tls::pem_files("example.com.pem", "example.com.key")
        .shutdown_on(shutdown_signal())
        .drain(drain.within(Duration::from_secs(30)))
        .serve(app)
        .await?;
    Ok(())
}
