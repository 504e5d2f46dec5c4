//! The process behind the gateway: sends messages back, and news of its own.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::select;
use tokio::sync::Mutex;
use tokio::time::sleep;
use wsgate_tests::upstream::script::script;
use wsgate_tests::upstream::{Connection, Upstream, switching};
use wsgate_tests::{Frame, Role, Tunnel};

use crate::message::{Inbox, Kind, Outbox};
use crate::random::Random;
use crate::wire::{Item, Owed, Reader, Writer, split};

/// Serves at this port until it is killed. Its lines are for the crew: `listening`, `open` for each handshake that it
/// takes, and `flaw` with what is wrong.
pub(crate) async fn serve(port: u16, name: &str) {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let fields = format!("X-Member: {name}\r\n");
    let play = script(move |connection| take(connection, fields.clone()));
    let _upstream = Upstream::at(addr, play).await;
    say("listening");
    std::future::pending().await
}

async fn take(mut connection: Connection, fields: String) {
    let Some(request) = connection.request().await else {
        return;
    };
    let asked = |name: &str| -> Option<u64> {
        let (_, query) = request.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(n, _)| *n == name)?;
        value.parse().ok()
    };
    let tunnel = asked("tunnel");
    if tunnel.is_some() {
        say("open");
    }
    connection.write(switching(&request, &fields)).await;
    if connection.is_in_order() {
        // The gateway's own question whether we are well has no number.
        let (tunnel, news) = (
            tunnel.unwrap_or_default(),
            asked("news").unwrap_or_default(),
        );
        play(connection.into_tunnel(), tunnel, news).await;
    }
}

/// What two tasks of a tunnel write with, one at a time.
struct Out {
    writer: Writer,
    outbox: Outbox,
    random: Random,
    /// The last message is sent.
    is_over: bool,
}

// ===== impl Out =====

impl Out {
    /// Sends some; whether there may be more.
    async fn news(&mut self) -> bool {
        if self.is_over {
            return false;
        }
        let length = match self.random.percent(2) {
            true => self.random.within(5_000..60_000),
            false => self.random.within(0..400),
        };
        let message = self.outbox.message(Kind::News, length, &mut self.random);
        self.message(message).await.is_ok()
    }

    async fn message(&mut self, message: Vec<u8>) -> std::io::Result<()> {
        let frames = match self.random.percent(25) {
            true => self.random.within(2..9),
            false => 1,
        };
        self.writer.message(message, frames, &Owed::default()).await
    }
}

/// Echoes, with news every so many milliseconds, until the client closes or is gone.
async fn play(tunnel: Tunnel, id: u64, news: u64) {
    let mut random = Random::new(id);
    let (reader, writer) = split(tunnel, Role::Server, random.fork(), DRIBBLES);
    let out = Mutex::new(Out {
        writer,
        outbox: Outbox::new(id),
        random,
        is_over: false,
    });
    select! {
        () = listen(reader, &out, id) => {}
        () = tell(&out, news) => {}
    }
}

/// Sends news. Never ends: that nobody takes them is for the reader to find out, who may have a Close to answer.
async fn tell(out: &Mutex<Out>, every: u64) {
    if every > 0 {
        let mut goes_on = true;
        while goes_on {
            sleep(Duration::from_millis(every)).await;
            goes_on = out.lock().await.news().await;
        }
    }
    std::future::pending().await
}

async fn listen(mut reader: Reader, out: &Mutex<Out>, id: u64) {
    let mut inbox = Inbox::new(id);
    let mut echoed = 0;
    while let Ok(item) = reader.next().await {
        let message = match item {
            Item::Message(message) => message,
            Item::Ping(payload) => {
                let pong = Frame::pong(payload);
                if out.lock().await.writer.send(pong).await.is_err() {
                    return;
                }
                continue;
            }
            Item::Pong => continue,
            Item::Close(code, reason) => {
                let mut out = out.lock().await;
                out.is_over = true;
                // Whoever closes may be gone before the answer.
                let _ = out.writer.send(Frame::close(code, &reason)).await;
                let _ = out.writer.shutdown().await;
                return;
            }
        };
        let kind = match inbox.take(&message) {
            Ok(taken) => taken.kind,
            Err(flaw) => return say(&format!("flaw tunnel {id}: a message is {flaw}")),
        };
        let mut out = out.lock().await;
        let out = &mut *out;
        let answer = match kind {
            Kind::Echo => {
                echoed += 1;
                message
            }
            Kind::Last => {
                out.is_over = true;
                let counts = [echoed, out.outbox.sent(Kind::News)];
                let counts = counts.map(u64::to_be_bytes).concat();
                out.outbox.message_of(Kind::Last, &counts)
            }
            Kind::News => return say(&format!("flaw tunnel {id}: news of a client")),
        };
        if out.message(answer).await.is_err() {
            return;
        }
        // Some upstreams are slow to read.
        if id.is_multiple_of(7) && out.random.percent(2) {
            sleep(out.random.millis(100..800)).await;
        }
    }
}

/// Of a hundred frames.
const DRIBBLES: u64 = 3;

/// A line for the crew; it may be gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
