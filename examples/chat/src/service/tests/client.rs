//! A client that speaks the protocol, over loopback.

use std::net::Ipv4Addr;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message, client::IntoClientRequest, handshake::client::Request, protocol::CloseFrame,
    },
};

use crate::service::{
    Hub, Limits, PATH, Service,
    names::PersonName,
    protocol::{ErrorCode, Person, RoomSummary, ServerFrame, Snapshot},
};

/// A connected client.
pub(super) struct Client(pub(super) WebSocketStream<TcpStream>);

impl Client {
    pub(super) async fn open(chat: &Service, request: Request) -> Result<Self, tungstenite::Error> {
        let tcp = TcpStream::connect(chat.local_addr()).await.unwrap();
        client_async(request, tcp)
            .await
            .map(|(socket, _)| Self(socket))
    }

    /// Connects, and reads the greeting.
    pub(super) async fn connect(chat: &Service) -> Self {
        let request = url(chat).into_client_request().unwrap();
        let mut client = Self::open(chat, request).await.unwrap();
        assert!(matches!(client.next().await, ServerFrame::Hello { .. }));
        client
    }

    /// Connects and enters a room.
    pub(super) async fn join(chat: &Service, room: &str, name: &str) -> (Self, Snapshot) {
        let mut client = Self::connect(chat).await;
        let snapshot = client.enter(room, name).await;
        (client, snapshot)
    }

    pub(super) async fn enter(&mut self, room: &str, name: &str) -> Snapshot {
        self.send(&join(room, name)).await;
        match self.next_event().await {
            ServerFrame::Joined(snapshot) => snapshot,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn say(&mut self, text: &str) {
        let frame = json!({"type": "say", "text": text});
        self.send(&frame.to_string()).await;
    }

    pub(super) async fn refused(&mut self, frame: &str, expected: ErrorCode) {
        self.send(frame).await;
        match self.next_event().await {
            ServerFrame::Error { code, .. } => assert_eq!(code, expected, "{frame}"),
            other => panic!("{other:?} in answer to {frame}"),
        }
    }

    pub(super) async fn send(&mut self, frame: &str) {
        self.0.send(Message::text(frame)).await.unwrap();
    }

    /// The next event in the room, in words.
    pub(super) async fn event(&mut self) -> String {
        let name = |person: &Person| text(&person.name);
        match self.next_event().await {
            ServerFrame::Message(said) => format!("{}: {}", name(&said.from), said.text),
            ServerFrame::Arrived { person } => format!("{} arrived", name(&person)),
            ServerFrame::Left { person } => format!("{} left", name(&person)),
            ServerFrame::Typing { person, active } => format!("{person} typing {active}"),
            other => panic!("{other:?}"),
        }
    }

    /// The next frame that is not the list of rooms, which comes in its own time.
    pub(super) async fn next_event(&mut self) -> ServerFrame {
        loop {
            match self.next().await {
                ServerFrame::Rooms { .. } => {}
                frame => return frame,
            }
        }
    }

    pub(super) async fn rooms(&mut self) -> Vec<(String, usize)> {
        let ServerFrame::Rooms { rooms } = self.next().await else {
            panic!("the rooms were expected");
        };
        let line = |room: RoomSummary| (room.name.to_string(), room.people);
        rooms.into_iter().map(line).collect()
    }

    pub(super) async fn next(&mut self) -> ServerFrame {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Reads on until the service's Close, and returns its code.
    pub(super) async fn closed(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.0.next().await.unwrap().unwrap() {
                let CloseFrame { code, .. } = frame.unwrap();
                return code.into();
            }
        }
    }

    /// Says goodbye and waits for the answer.
    pub(super) async fn close(mut self) {
        // It fails when the service said goodbye first.
        let _ = self.0.close(None).await;
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

pub(super) async fn start(limits: Limits) -> Service {
    let addr = (Ipv4Addr::LOCALHOST, 0).into();
    Service::start(addr, Hub::new(limits)).await.unwrap()
}

/// The clients leave, and the service stops.
pub(super) async fn over<const N: usize>(chat: Service, clients: [Client; N]) {
    for client in clients {
        client.close().await;
    }
    chat.stop().await.unwrap();
}

pub(super) fn url(chat: &Service) -> String {
    format!("ws://{}{PATH}", chat.local_addr())
}

pub(super) fn join(room: &str, name: &str) -> String {
    json!({"type": "join", "room": room, "name": name}).to_string()
}

pub(super) fn names(room: &Snapshot) -> Vec<String> {
    room.people
        .iter()
        .map(|person| text(&person.name))
        .collect()
}

fn text(name: &PersonName) -> String {
    serde_json::from_value(json!(name)).unwrap()
}
