//! WebSockets that others have written, each as client and as upstream of every other: through the
//! gateway they are told the same as without it.

use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wsgate::WebSocketProxy;
use wsgate_tests::client::Target;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::peers::{Event, Peer, PeerServer, Step};
use wsgate_tests::upstream::{Upstream, script, switching};
use wsgate_tests::{Fields, Frame, trace, within};

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Peer(Peer),
    Tungstenite,
}

/// Who answers, and echoes.
enum Server {
    Peer(Box<PeerServer>),
    Tungstenite(Upstream),
}

/// What a server was told in one conversation.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    target: String,
    /// Offered in Sec-WebSocket-Extensions and Sec-WebSocket-Protocol.
    offered: [Option<String>; 2],
    messages: u64,
    close: (u16, String),
}

// ===== impl Client =====

impl Client {
    const ALL: [Self; 3] = [
        Self::Peer(Peer::Node),
        Self::Peer(Peer::Python),
        Self::Tungstenite,
    ];

    fn compresses(self) -> bool {
        self != Self::Tungstenite
    }

    /// Has the conversation and says what it saw.
    async fn converse(self, target: &Target, path: &str, ca: Option<&Path>) -> Vec<Event> {
        match self {
            Self::Peer(peer) => {
                let mut client = peer
                    .client(&target.url(path), ca)
                    .subprotocols(&SUBPROTOCOLS);
                for step in conversation() {
                    client = client.then(step);
                }
                client.run().await
            }
            Self::Tungstenite => {
                within("tungstenite's conversation", tungstenite(target, path)).await
            }
        }
    }
}

/// The same conversation by tokio-tungstenite's client.
async fn tungstenite(target: &Target, path: &str) -> Vec<Event> {
    let mut request = target.url(path).into_client_request().unwrap();
    let subprotocols = SUBPROTOCOLS.join(", ").parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", subprotocols);
    let io = target.connect(&["http/1.1"]).await;
    let (mut socket, response) = client_async(request, io).await.unwrap();
    let fields = Fields::from(response.headers());
    let mut saw = vec![Event::Open {
        status: response.status().as_u16(),
        fields: fields
            .iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
    }];

    let mut received = 0;
    for step in conversation() {
        match step {
            Step::Text(text) => socket.send(Message::text(text)).await.unwrap(),
            Step::Binary(length) => socket.send(Message::binary(pattern(length))).await.unwrap(),
            Step::Fragments(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    let data = if i == 0 { Data::Text } else { Data::Continue };
                    let last = i + 1 == parts.len();
                    let frame = RawFrame::message(part.clone(), OpCode::Data(data), last);
                    socket.send(Message::Frame(frame)).await.unwrap();
                }
            }
            Step::Ping(data) => socket.send(Message::Ping(data.into())).await.unwrap(),
            Step::Receive(count) => {
                while received < count {
                    let event = event(socket.next().await.unwrap().unwrap());
                    received += usize::from(!matches!(event, Event::Pong { .. }));
                    saw.push(event);
                }
            }
            Step::Close(code, reason) => {
                let reason = Utf8Bytes::from(reason);
                let close = CloseFrame {
                    code: code.into(),
                    reason,
                };
                socket.close(Some(close)).await.unwrap();
            }
        }
    }
    while let Some(message) = socket.next().await {
        saw.push(event(message.unwrap()));
    }
    saw
}

fn event(message: Message) -> Event {
    match message {
        Message::Text(text) => Event::Text {
            data: text.to_string(),
        },
        Message::Binary(bytes) => Event::Binary {
            length: bytes.len(),
            intact: bytes == pattern(bytes.len()),
        },
        Message::Pong(data) => Event::Pong {
            data: String::from_utf8(data.to_vec()).unwrap(),
        },
        Message::Close(Some(close)) => Event::Close {
            code: close.code.into(),
            reason: close.reason.to_string(),
            clean: true,
        },
        other => panic!("unexpected {other:?}"),
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

// ===== impl Server =====

impl Server {
    async fn start(client: Client) -> Self {
        match client {
            Client::Peer(peer) => Self::Peer(Box::new(peer.server(&["chat"]).await)),
            Client::Tungstenite => {
                let echo = script::echo_with_subprotocols(&["chat"]);
                Self::Tungstenite(Upstream::tcp(echo).await)
            }
        }
    }

    fn addr(&self) -> std::net::SocketAddr {
        match self {
            Self::Peer(server) => server.addr(),
            Self::Tungstenite(upstream) => upstream.addr(),
        }
    }

    /// What it was told in the conversation that is over now, the first being number 0.
    async fn told(&mut self, number: usize) -> Told {
        match self {
            Self::Peer(server) => told_by(server).await,
            Self::Tungstenite(upstream) => {
                let over = |seen: &Vec<wsgate_tests::upstream::Seen>| {
                    seen.get(number).is_some_and(|seen| seen.ended)
                };
                let seen = upstream.until("the end of the conversation", over).await;
                let seen = &seen[number];
                assert_eq!(seen.error, None);
                let field = |name| seen.request().fields.get(name).map(ToOwned::to_owned);
                Told {
                    target: seen.request().target.clone(),
                    offered: NEGOTIATED.map(field),
                    messages: seen.messages,
                    close: seen.close.clone().unwrap(),
                }
            }
        }
    }

    async fn join(self) {
        match self {
            Self::Peer(server) => assert_eq!(server.join().await, []),
            Self::Tungstenite(upstream) => drop(upstream.join().await),
        }
    }
}

async fn told_by(server: &mut PeerServer) -> Told {
    let request = server.event().await;
    let Event::Request { target, .. } = &request else {
        panic!("expected a request, not {request:?}")
    };
    let mut messages = 0;
    loop {
        match server.event().await {
            Event::Text { .. } | Event::Binary { intact: true, .. } => messages += 1,
            Event::Ping { data } => assert_eq!(data, PING),
            Event::Close {
                code,
                reason,
                clean: true,
            } => {
                return Told {
                    target: target.clone(),
                    offered: NEGOTIATED.map(|name| request.field(name).map(ToOwned::to_owned)),
                    messages,
                    close: (code, reason),
                };
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

/// What a client saw, without the fields that each connection has its own of. The pong may overtake
/// messages that are still being inflated, so it stands last.
fn comparable(saw: &[Event]) -> ([Option<&str>; 2], Vec<&Event>) {
    let negotiated = NEGOTIATED.map(|name| saw[0].field(name));
    let mut rest: Vec<_> = saw[1..].iter().collect();
    rest.sort_by_key(|event| matches!(event, Event::Pong { .. }));
    (negotiated, rest)
}

// ===== conversations =====

/// Each client talks to this server directly and through the gateway.
async fn everyone_talks_to(player: Client) {
    let _trace = trace::init();
    let mut server = Server::start(player).await;
    let endpoint = format!("http://{}", server.addr());
    let gateway = Gateway::proxying(WebSocketProxy::to(&endpoint).unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = gateway.ca().write(folder.path());
    let plain = Target::plain(server.addr());
    let path = "/websocket/room?id=7";

    for (i, client) in Client::ALL.into_iter().enumerate() {
        let direct = client.converse(&plain, path, None).await;
        let direct_told = server.told(2 * i).await;
        let proxied = client.converse(&gateway.target(), path, Some(&ca)).await;
        let proxied_told = server.told(2 * i + 1).await;

        assert!(
            matches!(proxied[0], Event::Open { status: 101, .. }),
            "{client:?}: {proxied:?}"
        );
        assert_eq!(comparable(&proxied), comparable(&direct), "{client:?}");
        assert_eq!(proxied_told, direct_told, "{client:?}");

        // That the two are alike would say little if both were wrong.
        let ([extensions, subprotocol], rest) = comparable(&proxied);
        let deflate = extensions.is_some_and(|chosen| chosen.starts_with("permessage-deflate"));
        assert_eq!(
            deflate,
            client.compresses() && player.compresses(),
            "{client:?}"
        );
        assert_eq!(subprotocol, Some("chat"));
        assert_eq!(rest, expected().iter().collect::<Vec<_>>(), "{client:?}");
        assert_eq!(proxied_told.target, path);
        assert_eq!(proxied_told.messages, MESSAGES as u64);
        assert_eq!(proxied_told.close, (4001, "enough \u{2713}".to_owned()));
    }
    server.join().await;
    gateway.join().await;
}

#[tokio::test]
async fn everyone_talks_to_node() {
    everyone_talks_to(Client::Peer(Peer::Node)).await;
}

#[tokio::test]
async fn everyone_talks_to_python() {
    everyone_talks_to(Client::Peer(Peer::Python)).await;
}

#[tokio::test]
async fn everyone_talks_to_tungstenite() {
    everyone_talks_to(Client::Tungstenite).await;
}

#[tokio::test]
async fn everyone_is_told_why_the_upstream_closes_and_answers() {
    let _trace = trace::init();
    let closing = script::script(|mut connection| async move {
        let request = connection.request().await.unwrap();
        connection.write(switching(&request, "")).await;
        let mut tunnel = connection.into_tunnel();
        tunnel.send(Frame::close(4002, "moved")).await;
        let answer = tunnel.frame().await;
        assert_eq!(answer.close_parts(), Some((4002, "moved".to_owned())));
        tunnel.shutdown().await;
        tunnel.end().await;
    });
    let upstream = Upstream::tcp(closing).await;
    let endpoint = format!("http://{}", upstream.addr());
    let gateway = Gateway::proxying(WebSocketProxy::to(&endpoint).unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    let ca = gateway.ca().write(folder.path());
    let target = gateway.target();

    let told = Event::Close {
        code: 4002,
        reason: "moved".to_owned(),
        clean: true,
    };
    for peer in Peer::ALL {
        let saw = peer
            .client(&target.url("/websocket"), Some(&ca))
            .run()
            .await;
        assert_eq!(saw.last(), Some(&told), "{peer:?}");
        assert_eq!(saw.len(), 2, "{saw:?}");
    }
    let mut socket = target.tungstenite("/websocket").await;
    assert_eq!(event(socket.next().await.unwrap().unwrap()), told);
    while socket.next().await.is_some() {}
    upstream.ended(3).await;
    gateway.join().await;
}

fn conversation() -> [Step; 8] {
    [
        Step::Text("hello".to_owned()),
        Step::Text(String::new()),
        Step::Fragments(vec![
            "in ".to_owned(),
            "three ".to_owned(),
            "parts".to_owned(),
        ]),
        Step::Binary(1 << 20),
        Step::Ping(PING.to_owned()),
        Step::Text("\u{2713} done".to_owned()),
        Step::Receive(MESSAGES),
        Step::Close(4001, "enough \u{2713}".to_owned()),
    ]
}

/// What a client sees of it, after the handshake; the pong is out of turn.
fn expected() -> [Event; 7] {
    let text = |data: &str| Event::Text {
        data: data.to_owned(),
    };
    [
        text("hello"),
        text(""),
        text("in three parts"),
        Event::Binary {
            length: 1 << 20,
            intact: true,
        },
        text("\u{2713} done"),
        Event::Close {
            code: 4001,
            reason: "enough \u{2713}".to_owned(),
            clean: true,
        },
        Event::Pong {
            data: PING.to_owned(),
        },
    ]
}

const MESSAGES: usize = 5;
const PING: &str = "still there?";
const SUBPROTOCOLS: [&str; 2] = ["other", "chat"];
const NEGOTIATED: [&str; 2] = ["sec-websocket-extensions", "sec-websocket-protocol"];
