//! A real little server on loopback, for checks to find.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use wsgate_frame::{Close, ControlFrame, Event, OpCode, Role, Tracker};
use wsgate_layer::handshake::accept_key;

use crate::upstream::EndpointSettings;

/// What a server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// Opens a WebSocket, with a greeting in the segment of the 101, and answers pings and a Close.
    Echo,
    /// Answers so, whatever was asked.
    Answers(&'static str),
    /// Opens a WebSocket with the answer to another key.
    WrongAccept,
    /// Opens a WebSocket, sends these bytes, and answers nothing.
    Sends(&'static [u8]),
    /// Reads the request, and never answers.
    Silence,
    /// Leaves in the middle of its answer.
    BreaksOff,
}

/// Listens on a free port of 127.0.0.1 until it is dropped.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    does: watch::Sender<Does>,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The heads of the requests.
    pub(super) heads: Vec<String>,
    /// The codes of the Closes.
    pub(super) closes: Vec<Option<u16>>,
}

// ===== impl Server =====

impl Server {
    pub(super) async fn that(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (does, doing) = watch::channel(does);
        let (saw, seen) = watch::channel(Seen::default());
        let saw = Arc::new(saw);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, *doing.borrow(), saw.clone()));
            }
        });
        Self {
            addr,
            does,
            seen,
            task,
        }
    }

    /// With the next connections.
    pub(super) fn does(&self, does: Does) {
        self.does.send_replace(does);
    }

    pub(super) fn endpoint(&self) -> EndpointSettings {
        EndpointSettings::new(&format!("http://{}", self.addr)).unwrap()
    }

    /// What it saw so far.
    pub(super) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits for what it sees.
    pub(super) async fn saw(&self, what: impl FnMut(&Seen) -> bool) -> Seen {
        let mut seen = self.seen.clone();
        seen.wait_for(what).await.unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An error means that the check has left, which a test sees elsewhere.
async fn serve(mut stream: TcpStream, does: Does, saw: Arc<watch::Sender<Seen>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    saw.send_modify(|seen| seen.heads.push(head.clone()));
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key")
            .then_some(value)
    });
    let open = |key: &str| {
        let accept = accept_key(key.as_bytes());
        let accept = accept.to_str().unwrap();
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    };
    let own = open(key.unwrap_or_default());
    let answer = match does {
        Does::Echo => [own.as_bytes(), b"\x81\x05hello"].concat(),
        Does::Sends(bytes) => [own.as_bytes(), bytes].concat(),
        Does::WrongAccept => open("bm90IHlvdXIga2V5IQ==").into(),
        Does::Answers(answer) => answer.into(),
        Does::BreaksOff => b"HTTP/1.1 101 Swit".into(),
        Does::Silence => Vec::new(),
    };
    stream.write_all(&answer).await?;
    match does {
        Does::Echo => echo(&mut stream, &saw).await?,
        Does::Answers(_) | Does::BreaksOff => {}
        Does::WrongAccept | Does::Sends(_) | Does::Silence => {
            while stream.read(&mut [0; 512]).await? > 0 {}
        }
    }
    stream.shutdown().await
}

/// Answers pings until a Close comes, and that.
async fn echo(stream: &mut TcpStream, saw: &watch::Sender<Seen>) -> io::Result<()> {
    let mut tracker = Tracker::new(Role::Client);
    let mut bytes = [0; 512];
    while !tracker.is_closed() {
        let n = stream.read(&mut bytes).await?;
        assert!(n > 0, "a check says goodbye");
        let mut answers = Vec::new();
        tracker.feed(&bytes[..n], |event| match event {
            Event::Control {
                opcode: OpCode::Ping,
                payload,
                ..
            } => answers.extend_from_slice(&ControlFrame::pong(payload, None).unwrap()),
            Event::Violation { violation, .. } => panic!("{violation}"),
            _ => {}
        });
        stream.write_all(&answers).await?;
    }
    let close = tracker.close().and_then(Close::code);
    saw.send_modify(|seen| seen.closes.push(close.map(|code| code.0)));
    stream.write_all(b"\x88\x02\x03\xe8").await
}
