//! A page and a WebSocket proxy over HTTPS: `cargo run -p example-quick-start`

use axum::{Router, routing::any, routing::get};
use wsgate::{Server, WebSocketProxy, server::Tls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();

    let chat = WebSocketProxy::to("http://127.0.0.1:9000")?;
    let app = Router::new()
        .route("/", get(|| async { "an ordinary page" }))
        .route("/websocket", any(chat));

    Server::bind(([127, 0, 0, 1], 8443))
        .tls(Tls::development()) // Tls::pem_files("example.com.pem", "example.com.key")
        .serve(app)
        .await?;
    Ok(())
}
