//! What the tracing observer writes.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode, uri::Scheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tracing::{
    Instrument, Level, Span, Subscriber,
    span::{Attributes, Id},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{
    fmt::MakeWriter, layer::Context, layer::SubscriberExt, util::SubscriberInitExt,
};
use wsgate_frame::Role;

use super::{super::*, harness::*};
use crate::{client::TrustedProxies, tunnel::Limit, upgrade::UpgradeSender};

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

// ===== impl Log =====

impl Log {
    fn new() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(log.clone())
            .with_ansi(false)
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The one line with this in it.
    #[track_caller]
    fn line(&self, with: &str) -> String {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let mut lines = log.lines().filter(|line| line.contains(with));
        let line = lines.next();
        let line = line.unwrap_or_else(|| panic!("no {with} in {log}"));
        assert_eq!(lines.next(), None, "another {with}");
        line.to_owned()
    }
}

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[track_caller]
fn assert_has(line: &str, fields: &[&str]) {
    for field in fields {
        assert!(line.contains(field), "{field} is not in {line}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_closing_event_with_the_names_of_opentelemetry() {
    let (log, _guard) = Log::new();
    let layer = ObserveLayer::tracing();
    let mut req = request();
    req.extensions_mut().insert(Scheme::HTTPS);
    let (mut client, near) = duplex(1024);
    let (tunnel, mut handler) = open_on(&layer, req, near).await;
    assert!(tunnel.is_told());
    tunnel.set_upstream("chat");

    client.write_all(CLIENT_HELLO).await.unwrap();
    client
        .write_all(b"\x88\x85\0\0\0\0\x03\xe8a\nb")
        .await
        .unwrap();
    let mut read = [0; 22];
    handler.read_exact(&mut read).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(handler);

    let closed = log.line("websocket closed");
    assert_has(
        &closed,
        &[
            "INFO websocket{",
            "client.address=192.0.2.7 client.port=4711",
            "network.protocol.name=\"http\" network.protocol.version=\"1.1\"",
            "http.request.method=\"GET\"",
            "http.response.status_code=101",
            "url.scheme=\"https\"",
            "server.address=\"example.com\" server.port=8443",
            "websocket.upstream=\"chat\"",
            "websocket.duration_ms=1500",
            "websocket.from_client_bytes=22 websocket.from_client_messages=1",
            "websocket.to_client_bytes=0 websocket.to_client_messages=0",
            "websocket.closed_by=client websocket.cause=close",
            "websocket.close_code=1000 websocket.close_reason=\"a\\\\nb\"",
        ],
    );
    // Neither a path, which may have secrets in it, nor a route that is none.
    for absent in ["error.type", "http.route", "network.peer", "secret"] {
        assert!(!closed.contains(absent), "{closed}");
    }
}

#[tokio::test]
async fn an_abrupt_end_has_an_error_type() {
    let (log, _guard) = Log::new();
    let (_, client, handler) = open(&ObserveLayer::tracing()).await;
    drop((client, handler));
    assert_has(
        &log.line("websocket closed"),
        &[
            "error.type=dropped",
            "websocket.closed_by=server websocket.cause=dropped websocket.close_code=1006",
        ],
    );
}

#[tokio::test]
async fn a_refusal_says_why() {
    let (log, _guard) = Log::new();
    let mut req = request();
    let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
    let mut res = Response::new(());
    *res.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    res.extensions_mut().insert(Limit::Tunnels);
    answer(&ObserveLayer::tracing(), req, res).await;
    assert_has(
        &log.line("websocket refused"),
        &[
            "http.response.status_code=503",
            "error.type=\"limit\"",
            "error=the limit of tunnels is reached",
        ],
    );
}

#[tokio::test]
async fn what_happens_within_is_in_the_span() {
    let (log, _guard) = Log::new();
    let (tunnel, _client, _handler) = open(&ObserveLayer::tracing()).await;
    tunnel.ping(Role::Client, Duration::from_millis(42));
    tunnel.limit(Limit::ByteRate);
    assert_has(
        &log.line("websocket ping"),
        &[
            "TRACE websocket{",
            "websocket.peer=\"client\" websocket.round_trip_ms=42",
        ],
    );
    assert_has(
        &log.line("websocket limit"),
        &["INFO websocket{", "websocket.limit=byte rate"],
    );
}

#[tokio::test]
async fn the_handler_answers_in_the_span_of_the_first_observer_that_has_one() {
    let (log, _guard) = Log::new();
    let mut req = request();
    let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
    let service = service_fn(|_: Request<()>| {
        tracing::info!("called");
        async {
            tracing::info!("polled");
            Ok::<_, io::Error>(Response::new(()))
        }
    });
    let layer = ObserveLayer::new(Diary::default()).and(TracingObserver::new());
    layer.layer(service).oneshot(req).await.unwrap();
    assert_has(&log.line("called"), &["websocket{"]);
    assert_has(&log.line("polled"), &["websocket{"]);
}

#[tokio::test]
async fn behind_a_proxy_the_client_and_the_proxy_are_told() {
    let (log, _guard) = Log::new();
    let trusted = TrustedProxies::new(["192.0.2.0/24"]).unwrap();
    let layer = ObserveLayer::tracing().trusted_proxies(trusted);
    let mut req = request();
    req.headers_mut()
        .insert("x-forwarded-for", "2001:db8::1".parse().unwrap());
    let (client, near) = duplex(64);
    drop((open_on(&layer, req, near).await, client));
    let closed = log.line("websocket closed");
    let proxied =
        "client.address=2001:db8::1 network.peer.address=192.0.2.7 network.peer.port=4711";
    assert_has(&closed, &[proxied]);
}

/// How many spans there are.
#[derive(Clone, Default)]
struct Live(Arc<AtomicUsize>);

impl Live {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for Live {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// So many spans live as long as a WebSocket that is opened in one of its server.
#[track_caller]
fn check_live(layer: &ObserveLayer, expected: usize) {
    let live = Live::default();
    let _guard = tracing_subscriber::registry()
        .with(live.clone())
        .set_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let _websocket = runtime.block_on(async {
        let opened = open(layer).instrument(tracing::info_span!("request"));
        let (tunnel, client, handler) = opened.await;
        assert_eq!(live.count(), expected);
        tunnel.limit(Limit::ByteRate);
        (client, handler)
    });
    assert_eq!(live.count(), expected);
}

#[test]
fn an_open_websocket_keeps_no_span_but_that_of_its_request() {
    check_live(&ObserveLayer::tracing(), 1);
}

#[test]
fn an_open_websocket_keeps_its_span_where_that_is_to_last() {
    let lasting = TracingObserver::new().lasting_spans();
    // And that its parent.
    check_live(&ObserveLayer::new(lasting), 2);
}

#[tokio::test]
async fn each_span_of_a_websocket_has_the_parent_of_the_first() {
    for layer in [
        ObserveLayer::tracing(),
        ObserveLayer::new(TracingObserver::new().lasting_spans()),
    ] {
        let (log, _guard) = Log::new();
        let opened = open(&layer).instrument(tracing::info_span!("request"));
        let (tunnel, client, handler) = opened.await;
        tracing::info_span!("handler").in_scope(|| {
            tunnel.limit(Limit::ByteRate);
            drop((client, handler));
        });
        for event in ["websocket opened", "websocket limit", "websocket closed"] {
            assert_has(&log.line(event), &["request:websocket{"]);
        }
        let closed = log.line("websocket closed");
        assert_eq!(closed.matches("status_code=101").count(), 1, "{closed}");
    }
}

#[tokio::test]
async fn one_without_a_parent_never_has_one() {
    let (log, _guard) = Log::new();
    let (_, client, handler) = open(&ObserveLayer::tracing()).await;
    tracing::info_span!("handler").in_scope(|| drop((client, handler)));
    assert_has(&log.line("websocket closed"), &["INFO websocket{"]);
}

#[tokio::test]
async fn a_handler_is_told_the_parent_for_its_own_spans() {
    let (_log, _guard) = Log::new();
    for (observer, is_own) in [
        (TracingObserver::new(), false),
        (TracingObserver::new().lasting_spans(), true),
    ] {
        let mut req = request();
        let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
        let request = tracing::info_span!("request");
        let id = request.id();
        let service = service_fn(move |req: Request<()>| {
            let parent = SpanParent::of(req.extensions()).id();
            let own = Span::current().id();
            assert_eq!(parent, if is_own { own } else { id.clone() });
            std::future::ready(Ok::<_, io::Error>(Response::new(())))
        });
        let served = ObserveLayer::new(observer).layer(service).oneshot(req);
        // Layers act when they are called, which is when this is polled.
        served.instrument(request).await.unwrap();
    }
}
