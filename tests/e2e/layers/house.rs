//! An app that the tests know, and two ways to have it behind the layers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{Uri, Version};
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::watch;
use tokio::time::Instant;
use wsgate::WebSocketProxy;
use wsgate_tests::site::Site;
use wsgate_tests::within;

/// What stands behind the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    /// The app itself, with axum's WebSocket handler.
    Axum,
    /// The proxy, with the app as its upstream.
    Proxy,
}

/// The app and the site where the proxy finds it.
pub(super) struct House {
    pub(super) app: App,
    site: Site,
    proxy: WebSocketProxy,
}

/// Does what it is told in text:
///
/// - [`BEAT`] has it send a ping of its own;
/// - [`FLOOD`] has it send as fast as it can, to the end;
/// - anything else it says back, and binary messages too.
///
/// A pong it says back as a binary message, so that a client notices one that was not the app's.
#[derive(Clone, Default)]
pub(super) struct App {
    /// What was told in all WebSockets that have ended.
    told: Arc<watch::Sender<Vec<Told>>>,
    open: Arc<watch::Sender<usize>>,
    /// Said to everyone who is there.
    said: Arc<watch::Sender<&'static str>>,
}

/// What one WebSocket told the app.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) path: String,
    pub(super) version: Version,
    /// All messages of whatever kind, but for the Close.
    pub(super) messages: Vec<Message>,
    pub(super) close: Option<(u16, String)>,
    pub(super) lived: Duration,
}

/// The app's heartbeat: as long as the payloads of a keepalive.
pub(super) const BEAT: &str = "app beat";

pub(super) const FLOOD: &str = "flood";

const FLOODING: usize = 1 << 14;

// ===== impl Behind =====

impl Behind {
    pub(super) const BOTH: [Self; 2] = [Self::Axum, Self::Proxy];
}

// ===== impl House =====

impl House {
    pub(super) async fn start() -> Self {
        let app = App::default();
        let router = Router::new().fallback_service(app.handler());
        let site = Site::start(router, None).await;
        let proxy = WebSocketProxy::to(&format!("http://{}", site.addr())).unwrap();
        Self { app, site, proxy }
    }

    pub(super) fn handler(&self, behind: Behind) -> MethodRouter {
        match behind {
            Behind::Axum => self.app.handler(),
            Behind::Proxy => any(self.proxy.clone()),
        }
    }

    /// The app at `/axum` and at `/proxy`.
    pub(super) fn router(&self) -> Router {
        Behind::BOTH
            .into_iter()
            .fold(Router::new(), |router, behind| {
                router.route(behind.path(), self.handler(behind))
            })
    }

    /// Waits for the end of all.
    pub(super) async fn join(self) -> Vec<Told> {
        self.site.join().await;
        self.app.until_open(0).await;
        self.app.told.borrow().clone()
    }
}

impl Behind {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Axum => "/axum",
            Self::Proxy => "/proxy",
        }
    }
}

// ===== impl App =====

impl App {
    pub(super) fn handler(&self) -> MethodRouter {
        let app = self.clone();
        any(
            async |upgrade: WebSocketUpgrade, uri: Uri, version: Version| {
                app.upgrade(upgrade, &uri, version)
            },
        )
    }

    /// Waits until so many WebSockets have ended, and gives them in the order of their ends.
    pub(super) async fn until_told(&self, count: usize) -> Vec<Told> {
        let mut told = self.told.subscribe();
        let told = within(
            "the ends of the app's WebSockets",
            told.wait_for(|told| told.len() >= count),
        );
        told.await.expect("we hold the sender").clone()
    }

    /// Waits until so many WebSockets are open.
    pub(super) async fn until_open(&self, count: usize) {
        let mut open = self.open.subscribe();
        let open = within("the app's WebSockets", open.wait_for(|open| *open == count));
        open.await.expect("we hold the sender");
    }

    /// Sends a text to everyone.
    pub(super) fn say(&self, text: &'static str) {
        self.said.send_replace(text);
    }

    fn upgrade(self, upgrade: WebSocketUpgrade, uri: &Uri, version: Version) -> Response {
        let told = Told {
            path: uri.path().to_owned(),
            version,
            messages: Vec::new(),
            close: None,
            lived: Duration::ZERO,
        };
        // Thousands of them in one test.
        upgrade
            .read_buffer_size(1024)
            .on_upgrade(|socket| self.converse(socket, told))
    }

    async fn converse(self, socket: WebSocket, mut told: Told) {
        let opened = Instant::now();
        self.open.send_modify(|open| *open += 1);
        let mut said = self.said.subscribe();
        let (mut sink, mut stream) = socket.split();
        let mut flooding = false;
        loop {
            let answer = tokio::select! {
                heard = stream.next() => match heard {
                    Some(Ok(Message::Close(close))) => {
                        told.close = Some(close.map_or((1005, String::new()), parts));
                        flooding = false;
                        continue;
                    }
                    Some(Ok(message)) => {
                        told.messages.push(message.clone());
                        flooding |= message == Message::text(FLOOD);
                        self.answer(message)
                    }
                    Some(Err(_)) | None => break,
                },
                Ok(()) = said.changed() => Some(Message::text(*said.borrow_and_update())),
                _ = sink.send(Message::binary(vec![0; FLOODING])), if flooding => None,
            };
            if let Some(answer) = answer
                && sink.send(answer).await.is_err()
            {
                break;
            }
        }
        told.lived = opened.elapsed();
        self.open.send_modify(|open| *open -= 1);
        self.told.send_modify(|all| all.push(told));
    }

    fn answer(&self, message: Message) -> Option<Message> {
        match message {
            Message::Text(text) if text == BEAT => Some(Message::Ping(BEAT.into())),
            Message::Text(text) if text == FLOOD => None,
            Message::Pong(payload) => Some(Message::Binary(payload)),
            // Answered by tungstenite.
            Message::Ping(_) => None,
            message => Some(message),
        }
    }
}

fn parts(close: CloseFrame) -> (u16, String) {
    (close.code, close.reason.to_string())
}
