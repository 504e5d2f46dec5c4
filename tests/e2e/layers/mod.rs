//! The layers over the wire: over TLS, HTTP/1.1 and HTTP/2, before the proxy and before axum's own
//! WebSockets.

mod drain;
mod drained;
mod drawings;
mod house;
mod limits;
mod observers;
mod orders;
mod origin;
mod people;
mod rates;
mod sizes;
mod stopped;
mod warnings;

use wsgate_tests::client::{H2, Handshake, Opened, Refused, Target};
use wsgate_tests::stage::Http;
use wsgate_tests::{Frame, Tunnel};

use self::house::{Behind, House, Told};

/// A client with a connection for all of its WebSockets, or one for each.
struct Visitor {
    target: Target,
    h2: Option<H2>,
}

// ===== impl Visitor =====

impl Visitor {
    async fn new(target: Target, http: Http) -> Self {
        let h2 = match http {
            Http::One => None,
            Http::Two => Some(target.h2().await),
        };
        Self { target, h2 }
    }

    async fn open(&mut self, handshake: Handshake) -> Result<Opened, Refused> {
        match &mut self.h2 {
            None => self.target.open(handshake).await,
            Some(h2) => h2.open(handshake).await,
        }
    }

    /// Opens a tunnel, which must succeed.
    async fn enter(&mut self, path: &str) -> Tunnel {
        match self.open(Handshake::of(path)).await {
            Ok(opened) => opened.tunnel,
            Err(refused) => panic!("{path} was refused: {refused:?}"),
        }
    }

    /// Must be refused so, and told when to come back.
    async fn is_sent_away(&mut self, path: &str, status: u16) -> u64 {
        let refused = self.open(Handshake::of(path)).await.unwrap_err();
        assert_eq!(refused.response.status, status, "{refused:?}");
        let again = refused.response.fields.get("retry-after");
        again.expect("when to try again").parse().unwrap()
    }

    /// Waits for the end of its connection, once its tunnels are dropped.
    async fn leave(self) {
        if let Some(h2) = self.h2 {
            h2.join().await;
        }
    }
}

/// Takes a Close and answers it, as every client does, and sees the end.
async fn is_closed(mut client: Tunnel, code: u16, reason: &str) {
    let close = client.frame().await;
    assert_eq!(close.close_parts(), Some((code, reason.to_owned())));
    // It may be gone already, if it does not wait for an answer.
    let _ = client.try_send(close).await;
    client.end().await;
}

/// Whether this is a ping of a keepalive: eight bytes that no test would think of.
fn is_keepalive(frame: &Frame) -> bool {
    frame.opcode == Frame::ping("").opcode
        && frame.payload.len() == 8
        && frame.payload != house::BEAT
}
