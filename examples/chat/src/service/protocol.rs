//! What client and service say to each other: JSON objects, one a text frame, told apart by `type`.
//!
//! ```text
//! client                                        service
//!   (the socket opens)                    ->      hello    the limits, the server's time, how you came in
//!                                                 rooms    and again whenever the list changes
//!   join    room, name                    ->      joined   who is here, the last messages, your id
//!   say     text, key                     ->      message  to everyone in the room, you included
//!   typing  active                        ->      typing   to everyone in the room
//!   ping    at                            ->      pong     `at` as it came: the round trip is yours to take
//!                                                 arrived, left     someone else came or went
//!                                                 missed   you read too slowly; a fresh `joined` follows
//!   (anything that cannot be done)        ->      error    code for programs, message for people
//! ```
//!
//! A second `join` moves the client to another room or gives it another name. Times are milliseconds
//! since 1970 by the server's clock. Unknown fields are ignored, so that both sides may grow.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::names::{PersonName, RoomName};

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ClientFrame {
    /// Enter a room, leaving the one before.
    Join { room: String, name: String },
    /// Say something to the room.
    Say {
        text: String,
        /// Comes back in the message, so that a client can tell after a lost connection whether what
        /// it said was heard. When in doubt it may say it again: the same key is heard once.
        #[serde(default)]
        key: Option<String>,
    },
    /// Begin or stop typing. Receivers forget a typist by themselves after a while.
    Typing { active: bool },
    /// Ask for a [`ServerFrame::Pong`]. A browser shows neither protocol pings nor pongs to the page.
    Ping { at: f64 },
}

/// What the service sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame {
    Hello {
        /// The protocol of the client's handshake with the site, by its ALPN name; see
        /// [`CLIENT_PROTOCOL`]. Absent when the client reached the service directly.
        #[serde(skip_serializing_if = "Option::is_none")]
        protocol: Option<String>,
        limits: Bounds,
        time: u64,
    },
    Rooms {
        rooms: Vec<RoomSummary>,
    },
    Joined(Snapshot),
    Message(Arc<Message>),
    Arrived {
        person: Person,
    },
    Left {
        person: Person,
    },
    Typing {
        person: u64,
        active: bool,
    },
    Missed {
        count: u64,
    },
    Pong {
        at: f64,
        time: u64,
    },
    Error {
        code: ErrorCode,
        message: String,
    },
}

/// All that a client needs to show a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// The receiver's own id among `people`.
    pub(crate) you: u64,
    pub(crate) room: RoomName,
    pub(crate) people: Vec<Person>,
    /// Oldest first.
    pub(crate) history: Vec<Arc<Message>>,
    pub(crate) time: u64,
}

/// Somebody in a room: one connection, as two tabs of one human are two people here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) id: u64,
    pub(crate) name: PersonName,
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Message {
    /// Rises with time, over all rooms and over restarts of the service.
    pub(crate) id: u64,
    pub(crate) at: u64,
    pub(crate) from: Person,
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// A line in the list of rooms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RoomSummary {
    pub(crate) name: RoomName,
    pub(crate) people: usize,
}

/// The limits that a client should know before it meets them, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    pub(crate) name: usize,
    pub(crate) room: usize,
    pub(crate) text: usize,
}

/// Why a frame was not acted upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    /// Not JSON, or not one of [`ClientFrame`].
    BadFrame,
    /// Speaking before joining.
    NotJoined,
    BadName,
    BadRoom,
    BadText,
    /// No room may be opened beside those that exist.
    TooManyRooms,
    /// Nobody may enter this room beside those in it.
    RoomFull,
    /// More frames than [`Limits::pace`](super::Limits) allows.
    TooFast,
}

/// A frame that was refused: an [`ErrorCode`] and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
}

// ===== impl Refusal =====

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<Refusal> for ServerFrame {
    fn from(Refusal { code, message }: Refusal) -> Self {
        Self::Error { code, message }
    }
}

/// The request field in which the site tells the service how the client's handshake came in.
///
/// The service cannot see it: the proxy speaks HTTP/1.1 to it whatever the browser spoke. Nor can the
/// page: a browser may well fetch the page over HTTP/2 and open the WebSocket on a connection of its
/// own over HTTP/1.1. Only the site sees the handshake itself.
pub(crate) const CLIENT_PROTOCOL: &str = "x-client-protocol";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::service::Limits;

    #[track_caller]
    fn reads(input: serde_json::Value, expected: ClientFrame) {
        let read: ClientFrame = serde_json::from_value(input.clone()).unwrap();
        assert_eq!(read, expected);
        assert_eq!(serde_json::to_value(&read).unwrap(), input);
    }

    #[track_caller]
    fn writes(frame: ServerFrame, expected: serde_json::Value) {
        assert_eq!(serde_json::to_value(&frame).unwrap(), expected);
        let back: ServerFrame = serde_json::from_value(expected).unwrap();
        assert_eq!(back, frame);
    }

    fn room(name: &str) -> RoomName {
        RoomName::parse(name, &Limits::default()).unwrap()
    }

    fn ada() -> Person {
        Person {
            id: 7,
            name: PersonName::parse("Ada", &Limits::default()).unwrap(),
        }
    }

    #[test]
    fn client_frames_are_read_as_documented() {
        reads(
            json!({"type": "join", "room": "lobby", "name": "Ada"}),
            ClientFrame::Join {
                room: "lobby".into(),
                name: "Ada".into(),
            },
        );
        reads(
            json!({"type": "say", "text": "hello", "key": "k1"}),
            ClientFrame::Say {
                text: "hello".into(),
                key: Some("k1".into()),
            },
        );
        reads(
            json!({"type": "typing", "active": true}),
            ClientFrame::Typing { active: true },
        );
        reads(
            json!({"type": "ping", "at": 12.5}),
            ClientFrame::Ping { at: 12.5 },
        );
    }

    #[test]
    fn a_key_may_be_left_out_and_unknown_fields_are_ignored() {
        let read: ClientFrame =
            serde_json::from_str(r#"{"type":"say","text":"hi","colour":"red"}"#).unwrap();
        let text = "hi".into();
        assert_eq!(read, ClientFrame::Say { text, key: None });
    }

    #[test]
    fn server_frames_are_written_as_documented() {
        writes(
            ServerFrame::Hello {
                protocol: Some("h2".into()),
                limits: Bounds {
                    name: 1,
                    room: 2,
                    text: 3,
                },
                time: 5,
            },
            json!({"type": "hello", "protocol": "h2",
                   "limits": {"name": 1, "room": 2, "text": 3}, "time": 5}),
        );
        writes(
            ServerFrame::Rooms {
                rooms: vec![RoomSummary {
                    name: room("lobby"),
                    people: 2,
                }],
            },
            json!({"type": "rooms", "rooms": [{"name": "lobby", "people": 2}]}),
        );
        let message = Arc::new(Message {
            id: 1,
            at: 2,
            from: ada(),
            text: "hello".into(),
            key: None,
        });
        let ada_json = json!({"id": 7, "name": "Ada"});
        writes(
            ServerFrame::Message(message.clone()),
            json!({"type": "message", "id": 1, "at": 2, "from": ada_json, "text": "hello"}),
        );
        writes(
            ServerFrame::Joined(Snapshot {
                you: 7,
                room: room("lobby"),
                people: vec![ada()],
                history: vec![message],
                time: 9,
            }),
            json!({"type": "joined", "you": 7, "room": "lobby", "people": [ada_json], "time": 9,
                   "history": [{"id": 1, "at": 2, "from": ada_json, "text": "hello"}]}),
        );
        writes(
            ServerFrame::Arrived { person: ada() },
            json!({"type": "arrived", "person": ada_json}),
        );
        writes(
            ServerFrame::Left { person: ada() },
            json!({"type": "left", "person": ada_json}),
        );
        writes(
            ServerFrame::Typing {
                person: 7,
                active: false,
            },
            json!({"type": "typing", "person": 7, "active": false}),
        );
        writes(
            ServerFrame::Missed { count: 3 },
            json!({"type": "missed", "count": 3}),
        );
        writes(
            ServerFrame::Pong { at: 1.5, time: 2 },
            json!({"type": "pong", "at": 1.5, "time": 2}),
        );
        writes(
            Refusal::new(ErrorCode::NotJoined, "join a room first").into(),
            json!({"type": "error", "code": "not_joined", "message": "join a room first"}),
        );
    }
}
