//! WebSockets that others have written: Node's `ws` and Python's `websockets`, both with
//! permessage-deflate on, as client or as echo server, each in a process of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::program::{self, Program};

/// Who plays the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `ws` on Node.
    Node,
    /// `websockets` on Python.
    Python,
}

/// A client to be, with what it will do once connected.
#[derive(Clone, Debug, Serialize)]
pub struct PeerClient {
    #[serde(skip)]
    peer: Peer,
    url: String,
    ca: Option<PathBuf>,
    subprotocols: Vec<String>,
    fields: Vec<(String, String)>,
    steps: Vec<Step>,
}

/// What a client does; it waits for the end after the last step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Sends a text message.
    Text(String),
    /// Sends a binary message of so many bytes, each known from its place.
    Binary(usize),
    /// Sends one text message in several frames.
    Fragments(Vec<String>),
    /// Sends a ping and waits for its pong.
    Ping(String),
    /// Waits until so many messages have come in all.
    Receive(usize),
    /// Sends a Close.
    Close(u16, String),
}

/// A client at its steps.
#[derive(Debug)]
pub struct RunningClient {
    program: Program,
}

/// An echo server, until it is joined.
#[derive(Debug)]
pub struct PeerServer {
    program: Program,
    addr: SocketAddr,
}

/// What a peer saw, in order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are what their names say")]
pub enum Event {
    /// The server listens.
    Listening { port: u16 },
    /// A handshake came to the server.
    Request {
        target: String,
        fields: Vec<(String, String)>,
    },
    /// The client's handshake succeeded.
    Open {
        status: u16,
        fields: Vec<(String, String)>,
    },
    /// The client's handshake was answered with something else.
    Refused {
        status: u16,
        fields: Vec<(String, String)>,
        body: String,
    },
    /// A text message came.
    Text { data: String },
    /// A binary message came; intact if every byte is the one [`Step::Binary`] puts in its place.
    Binary { length: usize, intact: bool },
    /// A ping came.
    Ping { data: String },
    /// A pong came.
    Pong { data: String },
    /// The connection ended; clean means with a Close from each side.
    Close {
        code: u16,
        reason: String,
        clean: bool,
    },
    /// The peer's own words.
    Error { message: String },
}

// ===== impl Peer =====

impl Peer {
    /// All of them, for tests that want every one.
    pub const ALL: [Self; 2] = [Self::Node, Self::Python];

    /// A client that will connect to `url`, trusting `ca` (a PEM file) if there is one.
    pub fn client(self, url: &str, ca: Option<&Path>) -> PeerClient {
        PeerClient {
            peer: self,
            url: url.to_owned(),
            ca: ca.map(ToOwned::to_owned),
            subprotocols: Vec::new(),
            fields: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Starts an echo server that knows these subprotocols.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn server(self, subprotocols: &[&str]) -> PeerServer {
        let script = match self {
            Self::Node => "echo-server.mjs",
            Self::Python => "echo_server.py",
        };
        let options = serde_json::json!({ "subprotocols": subprotocols });
        self.serve(script, &options).await
    }

    /// Starts an echo server of Python's `websockets` for many clients, of which it tells nothing; at
    /// this port, or with 0 at a free one.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn quiet_server(port: u16) -> PeerServer {
        let options = serde_json::json!({ "subprotocols": [], "port": port, "quiet": true });
        Self::Python.serve("echo_server.py", &options).await
    }

    async fn serve(self, script: &str, options: &serde_json::Value) -> PeerServer {
        let mut program = Program::start(&mut self.command(script, &options.to_string()));
        match Event::parse(&program.line().await) {
            Event::Listening { port } => PeerServer {
                program,
                addr: ([127, 0, 0, 1], port).into(),
            },
            other => panic!("expected a port, not {other:?}"),
        }
    }

    fn command(self, script: &str, options: &str) -> Command {
        let (program, folder) = match self {
            Self::Node => {
                let folder = program::scripts().join("node");
                program::installed(folder.join("node_modules/ws"));
                (program::find("node"), folder)
            }
            Self::Python => {
                let venv = program::target_folder().join("peers/venv");
                (
                    program::installed(venv.join("bin/python")),
                    program::scripts().join("python"),
                )
            }
        };
        let mut command = Command::new(program);
        // Python would leave compiled modules in the source tree.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(folder.join(script)).arg(options);
        command
    }
}

// ===== impl PeerClient =====

impl PeerClient {
    /// Offers these subprotocols.
    #[must_use]
    pub fn subprotocols(mut self, offered: &[&str]) -> Self {
        self.subprotocols = offered.iter().map(|&offer| offer.to_owned()).collect();
        self
    }

    /// Sends one more header field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Does this next.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Plays the steps, waits for the end and returns what the client saw.
    ///
    /// # Panics
    ///
    /// When it crashes, or takes too long.
    pub async fn run(self) -> Vec<Event> {
        self.start().join().await
    }

    /// Begins to play the steps.
    pub fn start(self) -> RunningClient {
        let script = match self.peer {
            Peer::Node => "client.mjs",
            Peer::Python => "client.py",
        };
        let options = serde_json::to_string(&self).expect("steps that can be said in JSON");
        RunningClient {
            program: Program::start(&mut self.peer.command(script, &options)),
        }
    }
}

// ===== impl RunningClient =====

impl RunningClient {
    /// The next thing it sees.
    ///
    /// # Panics
    ///
    /// When it sees nothing more.
    pub async fn event(&mut self) -> Event {
        Event::parse(&self.program.line().await)
    }

    /// Stops it where it is; it is killed when dropped.
    pub async fn freeze(&self) {
        self.program.freeze().await;
    }

    /// Waits for the end and returns what it saw that [`RunningClient::event`] has not returned.
    ///
    /// # Panics
    ///
    /// When it crashes, or takes too long.
    pub async fn join(self) -> Vec<Event> {
        rest(self.program).await
    }
}

// ===== impl PeerServer =====

impl PeerServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next thing it sees.
    ///
    /// # Panics
    ///
    /// When it sees nothing more.
    pub async fn event(&mut self) -> Event {
        Event::parse(&self.program.line().await)
    }

    /// Stops it where it is; it is killed when dropped.
    pub async fn freeze(&self) {
        self.program.freeze().await;
    }

    /// Kills it where it is (SIGKILL).
    pub async fn kill(self) {
        self.program.kill().await;
    }

    /// Ends it and returns what it saw that [`PeerServer::event`] has not returned.
    ///
    /// # Panics
    ///
    /// When it crashes, or does not end.
    pub async fn join(mut self) -> Vec<Event> {
        self.program.hang_up();
        rest(self.program).await
    }
}

// ===== impl Event =====

impl Event {
    /// The value of a header field of a handshake, request or answer; the name in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let (Self::Request { fields, .. }
        | Self::Open { fields, .. }
        | Self::Refused { fields, .. }) = self
        else {
            return None;
        };
        let field = fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }

    fn parse(line: &str) -> Self {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    }
}

async fn rest(mut program: Program) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(line) = program.next_line().await {
        events.push(Event::parse(&line));
    }
    program.join().await;
    events
}
