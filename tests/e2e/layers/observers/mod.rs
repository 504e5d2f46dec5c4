//! One conversation of each sort, and what observers make of it.

mod ends;
mod log;
mod metrics;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::watch;
use wsgate::WebSocketProxy;
use wsgate::layer::ObserveLayer;
use wsgate::layer::handshake::Kind;
use wsgate::layer::observe::{Closed, Handshake as Observed, Observer, Opened, Ping, Refused};
use wsgate::layer::tunnel::Limit;
use wsgate_tests::stage::{Http, Stage};
use wsgate_tests::upstream::script::Accept;
use wsgate_tests::within;

/// Writes down what it is told, a line each.
#[derive(Clone, Default)]
struct Notes(Arc<watch::Sender<Vec<String>>>);

// ===== impl Notes =====

impl Notes {
    /// Waits for the end of a story that begins with a handshake, and gives the whole.
    async fn story(&self) -> Vec<String> {
        let is_over = |notes: &Vec<String>| {
            let last = notes.last().map_or("", String::as_str);
            last.starts_with("closed") || last.starts_with("refused")
        };
        let mut notes = self.0.subscribe();
        within("the end of a story", notes.wait_for(is_over))
            .await
            .unwrap();
        self.0.send_replace(Vec::new())
    }

    /// Waits for a line.
    async fn until(&self, line: &str) {
        let mut notes = self.0.subscribe();
        let noted = notes.wait_for(|notes| notes.iter().any(|note| note == line));
        within(line, noted).await.unwrap();
    }

    fn note(&self, line: String) {
        tracing::info!("{line}");
        self.0.send_modify(|notes| notes.push(line));
    }
}

impl Observer for Notes {
    fn handshake(&self, handshake: &Observed<'_>) {
        let Observed {
            route,
            protocol,
            scheme,
            ..
        } = handshake;
        assert_eq!(handshake.client, Some([127, 0, 0, 1].into()));
        assert!(handshake.host.unwrap().starts_with("localhost:"));
        self.note(format!("{scheme} {protocol} {route}"));
    }

    fn refused(&self, _: &Observed<'_>, refused: &Refused<'_>) {
        let status = refused.status.map_or(0, |status| status.as_u16());
        let why = refused.why.map_or("none", |why| why.word());
        self.note(format!("refused {status} {why}"));
    }

    fn opened(&self, _: &Observed<'_>, opened: &Opened) {
        assert!(matches!(opened.status.as_u16(), 101 | 200));
        self.note("opened".to_owned());
    }

    fn ping(&self, _: &Observed<'_>, ping: &Ping) {
        assert!(ping.round_trip > Duration::ZERO);
        self.note(format!("ping {:?}", ping.peer));
    }

    fn limit(&self, _: &Observed<'_>, limit: Limit) {
        self.note(format!("limit {limit}"));
    }

    fn closed(&self, handshake: &Observed<'_>, closed: &Closed<'_>) {
        let upstream = handshake.tunnel.upstream();
        assert!(upstream.is_some_and(|name| name.starts_with("http://127.0.0.1:")));
        let Closed { by, ended, .. } = closed;
        let messages = (closed.from_client.messages, closed.to_client.messages);
        self.note(format!(
            "closed by {by}: {ended}, {}, {messages:?}",
            closed.code().0
        ));
    }
}

// ===== a story =====

async fn start(http: Http, layers: impl FnOnce(Router) -> Router) -> (Stage, Notes) {
    let notes = Notes::default();
    let observe = ObserveLayer::new(notes.clone());
    let app = |proxy: WebSocketProxy| {
        let inner = Router::new().route_service("/websocket", proxy);
        layers(inner).layer(observe)
    };
    (Stage::serving(http, Accept::default(), app).await, notes)
}

fn first(http: Http) -> String {
    let protocol = match http {
        Http::One => Kind::Upgrade,
        Http::Two => Kind::ExtendedConnect,
    };
    format!("https {protocol} /websocket")
}
