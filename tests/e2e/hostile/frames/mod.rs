//! Frames that break the rules, and floods of those that do not.

mod cases;
mod floods;
mod lost;
mod strict;
mod transparent;

use axum::Router;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::routing::{MethodRouter, any};
use tokio::sync::mpsc;
use wsgate::WebSocketProxy;
use wsgate::layer::StrictFramesLayer;

/// The proxy, with both sides held to the rules.
fn strictly(proxy: WebSocketProxy) -> Router {
    Router::new()
        .route_service("/websocket", proxy)
        .layer(StrictFramesLayer::new())
}

/// A handler of axum's that only listens, and then tells what it heard.
fn listener() -> (MethodRouter, mpsc::Receiver<Vec<Message>>) {
    let (told, heard) = mpsc::channel(1);
    let handler = any(async |ws: WebSocketUpgrade| {
        ws.on_upgrade(|mut socket| async move {
            let mut all = Vec::new();
            while let Some(Ok(message)) = socket.recv().await {
                all.push(message);
            }
            // A test that is over wants to know no more.
            let _ = told.send(all).await;
        })
    });
    (handler, heard)
}
