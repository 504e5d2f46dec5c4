//! Servers behind the gateway, on loopback ports and unix sockets.

mod connection;
pub mod http2;
pub mod script;

use std::fmt;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rustls::ServerConfig;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::RequestHead;
use crate::io::{Io, within};

pub use connection::{Connection, switching};
pub use script::Script;

/// A server that plays its [`Script`] on every connection, until it is joined.
#[derive(Debug)]
pub struct Upstream {
    addr: Option<SocketAddr>,
    seen: Arc<watch::Sender<Vec<Seen>>>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// What an upstream saw of one connection.
#[derive(Clone, Default)]
pub struct Seen {
    /// The head of the request, if one came; see also [`Seen::request`].
    pub request: Option<RequestHead>,
    /// The data messages that came.
    pub messages: u64,
    /// The bytes in them.
    pub bytes: u64,
    /// What came behind the head, where the script [records](script::recording) it.
    pub rest: Vec<u8>,
    /// The bytes of frames that a flood got rid of.
    pub written: u64,
    /// The code and reason of the Close that came; 1005 for one without.
    pub close: Option<(u16, String)>,
    /// What went wrong, if the connection did not end in order.
    pub error: Option<String>,
    /// Whether the script is over. One that waits for its client tells so that the client left.
    pub ended: bool,
}

enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix(UnixListener),
}

// ===== impl Upstream =====

impl Upstream {
    /// Listens on a free port of 127.0.0.1.
    pub async fn tcp(script: Script) -> Self {
        let listener = loopback().await;
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        Self::start(Some(addr), Listener::Tcp(listener), script)
    }

    /// The same on an address of one's own.
    ///
    /// # Panics
    ///
    /// When it is not free.
    pub async fn at(addr: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a free address");
        Self::start(Some(addr), Listener::Tcp(listener), script)
    }

    /// The same with TLS. A handshake that fails is an error in [`Seen`].
    pub async fn tls(config: Arc<ServerConfig>, script: Script) -> Self {
        let listener = loopback().await;
        let addr = listener
            .local_addr()
            .expect("a bound socket has an address");
        Self::start(Some(addr), Listener::Tls(listener, config.into()), script)
    }

    /// Listens on a unix socket at `path`.
    pub fn unix(path: &Path, script: Script) -> Self {
        let listener = UnixListener::bind(path).expect("a path for a socket");
        Self::start(None, Listener::Unix(listener), script)
    }

    fn start(addr: Option<SocketAddr>, listener: Listener, script: Script) -> Self {
        let seen = Arc::new(watch::Sender::new(Vec::new()));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, script, Arc::clone(&seen), stop.clone()));
        Self {
            addr,
            seen,
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Where it listens.
    ///
    /// # Panics
    ///
    /// When it is a unix socket.
    pub fn addr(&self) -> SocketAddr {
        self.addr.expect("only sockets of TCP have an address")
    }

    /// What it saw so far, connection by connection in the order they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until what it saw answers to `condition`.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    pub async fn until(&self, what: &str, condition: impl FnMut(&Vec<Seen>) -> bool) -> Vec<Seen> {
        let mut seen = self.seen.subscribe();
        let seen = within(what, seen.wait_for(condition)).await;
        seen.expect("we hold the sender").clone()
    }

    /// Waits until there were so many connections and each has ended, by itself or by its client's
    /// doing, then joins.
    ///
    /// # Panics
    ///
    /// When one of them panicked or does not end, or there are more or fewer.
    pub async fn ended(self, connections: usize) -> Vec<Seen> {
        self.until("every connection's end", |seen| {
            seen.len() >= connections && seen.iter().all(|seen| seen.ended)
        })
        .await;
        let seen = self.join().await;
        assert_eq!(seen.len(), connections, "{seen:?}");
        seen
    }

    /// Takes no new connection, waits for the live ones to end, and says what each was.
    ///
    /// # Panics
    ///
    /// When one of them panicked, or does not end.
    pub async fn join(self) -> Vec<Seen> {
        self.stop.cancel();
        resume(within("the upstream's connections end", self.task).await);
        self.seen.borrow().clone()
    }

    /// [`Upstream::join`] for the usual case of one connection.
    ///
    /// # Panics
    ///
    /// When there were more, or none.
    pub async fn join_one(self) -> Seen {
        let seen = self.join().await;
        let [one]: [Seen; 1] = seen.try_into().expect("exactly one connection");
        one
    }
}

async fn loopback() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0))
        .await
        .expect("a free port")
}

async fn serve(
    listener: Listener,
    script: Script,
    seen: Arc<watch::Sender<Vec<Seen>>>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    for index in 0.. {
        let opening = tokio::select! {
            opening = listener.accept() => opening,
            () = stop.cancelled() => break,
        };
        seen.send_modify(|seen| seen.push(Seen::default()));
        let log = Log {
            seen: Arc::clone(&seen),
            index,
        };
        let (script, stop) = (Arc::clone(&script), stop.clone());
        connections.spawn(async move {
            match opening.await {
                Ok(io) => script(Connection::new(io, log.clone(), stop)).await,
                Err(error) => log.failed(&error),
            }
            log.note(|seen| seen.ended = true);
        });
    }
    while let Some(ended) = connections.join_next().await {
        resume(ended);
    }
}

/// Carries a panic on from the task it happened in.
pub(crate) fn resume(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}

// ===== impl Listener =====

/// What is left to do on an accepted connection before it can be used: its TLS handshake.
type Opening = BoxFuture<'static, io::Result<Box<dyn Io>>>;

impl Listener {
    async fn accept(&self) -> Opening {
        match self {
            Self::Tcp(listener) => {
                let io: Box<dyn Io> = Box::new(accept(listener).await);
                Box::pin(ready(Ok(io)))
            }
            Self::Tls(listener, acceptor) => {
                let handshake = acceptor.accept(accept(listener).await);
                Box::pin(async { Ok(Box::new(handshake.await?) as Box<dyn Io>) })
            }
            Self::Unix(listener) => {
                let (socket, _) = listener.accept().await.expect("a listening socket accepts");
                let io: Box<dyn Io> = Box::new(socket);
                Box::pin(ready(Ok(io)))
            }
        }
    }
}

async fn accept(listener: &TcpListener) -> tokio::net::TcpStream {
    let (socket, _) = listener.accept().await.expect("a listening socket accepts");
    socket
        .set_nodelay(true)
        .expect("a connected socket takes options");
    socket
}

// ===== impl Seen =====

impl Seen {
    /// The head of the request.
    ///
    /// # Panics
    ///
    /// When none came.
    #[track_caller]
    pub fn request(&self) -> &RequestHead {
        self.request.as_ref().expect("a request came")
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            messages,
            bytes,
            rest,
            written,
            close,
            error,
            ended,
        } = self;
        write!(
            f,
            "Seen {{ {messages} messages of {bytes} bytes, rest: {:?}, written: {written}, ",
            rest.escape_ascii().to_string()
        )?;
        write!(
            f,
            "close: {close:?}, error: {error:?}, ended: {ended}, request: {request:?} }}"
        )
    }
}

/// Where a connection notes what it sees.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    seen: Arc<watch::Sender<Vec<Seen>>>,
    index: usize,
}

// ===== impl Log =====

impl Log {
    pub(crate) fn note(&self, note: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(|seen| note(&mut seen[self.index]));
    }

    pub(crate) fn is_in_order(&self) -> bool {
        self.seen.borrow()[self.index].error.is_none()
    }

    pub(crate) fn failed(&self, error: &impl fmt::Display) {
        self.note(|seen| seen.error = Some(error.to_string()));
    }
}
