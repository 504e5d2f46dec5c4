//! The gateway before an upstream whose end of every tunnel the test holds, as it holds the client's.

use axum::Router;
use tokio::sync::mpsc;
use wsgate::WebSocketProxy;

use crate::client::{H2, Handshake, Opened, Refused};
use crate::gateway::{self, Gateway};
use crate::io::within;
use crate::tasks::Tasks;
use crate::upstream::script::{self, Accept};
use crate::upstream::{Seen, Upstream};
use crate::{ResponseHead, Tunnel};

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1, a connection to a tunnel.
    One,
    /// HTTP/2, one connection for all.
    Two,
}

/// A gateway and its upstream, and a client that speaks one of the two protocols.
#[derive(Debug)]
pub struct Stage {
    /// The upstream, for what it saw of each handshake.
    pub upstream: Upstream,
    /// The gateway.
    pub gateway: Gateway,
    /// The one connection, with [`Http::Two`].
    pub h2: Option<H2>,
    handed_over: mpsc::Receiver<Tunnel>,
    tasks: Tasks,
}

/// A tunnel through the gateway.
#[derive(Debug)]
pub struct Ends {
    /// The answer that the client got.
    pub response: ResponseHead,
    /// The client's end.
    pub client: Tunnel,
    /// The upstream's end.
    pub upstream: Tunnel,
}

// ===== impl Http =====

impl Http {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::One, Self::Two];
}

// ===== impl Stage =====

impl Stage {
    /// With an upstream that accepts every handshake.
    pub async fn start(http: Http) -> Self {
        Self::accepting(http, Accept::default()).await
    }

    /// With an upstream that accepts in this way.
    pub async fn accepting(http: Http, accept: Accept) -> Self {
        Self::serving(http, accept, gateway::app).await
    }

    /// The same with an app of one's own round the proxy.
    pub async fn serving(
        http: Http,
        accept: Accept,
        app: impl FnOnce(WebSocketProxy) -> Router,
    ) -> Self {
        let tasks = Tasks::now();
        let (script, handed_over) = script::handing_over(accept);
        let upstream = Upstream::tcp(script).await;
        let endpoint = format!("http://{}", upstream.addr());
        // The log of a test that plays over both says where it failed.
        tracing::info!("the client speaks HTTP {http:?}");
        let proxy = WebSocketProxy::to(&endpoint).expect("an endpoint");
        let gateway = Gateway::serving(app(proxy)).await;
        let h2 = match http {
            Http::One => None,
            Http::Two => Some(gateway.target().h2().await),
        };
        Self {
            upstream,
            gateway,
            h2,
            handed_over,
            tasks,
        }
    }

    /// Opens a tunnel.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub async fn open(&mut self, handshake: Handshake) -> Ends {
        let opened = self.knock(handshake).await;
        let Opened { response, tunnel } =
            opened.unwrap_or_else(|refused| panic!("the handshake was refused: {refused:?}"));
        let upstream = within("the upstream's end", self.handed_over.recv()).await;
        Ends {
            response,
            client: tunnel,
            upstream: upstream.expect("the upstream's script keeps a sender"),
        }
    }

    /// Sends a handshake, and leaves the upstream's end where it is.
    ///
    /// # Errors
    ///
    /// The answer, when it does not open a tunnel.
    pub async fn knock(&mut self, handshake: Handshake) -> Result<Opened, Refused> {
        match &mut self.h2 {
            None => self.gateway.target().open(handshake).await,
            Some(h2) => h2.open(handshake).await,
        }
    }

    /// Joins all of them, once the tunnels are dropped. Nothing of them runs then, or is told in the log any
    /// more.
    ///
    /// # Panics
    ///
    /// When one does not end.
    pub async fn join(self) -> Vec<Seen> {
        if let Some(h2) = self.h2 {
            h2.join().await;
        }
        let seen = self.upstream.join().await;
        self.gateway.join().await;
        self.tasks.settle().await;
        seen
    }
}
