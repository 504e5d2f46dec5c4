//! One tunnel, from its handshake to its end, and whether it ended as it may.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::select;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use wsgate_tests::client::{Opened, Target};
use wsgate_tests::{End, Frame, Role};

use crate::fleet::History;
use crate::message::{Inbox, Kind, Outbox};
use crate::plan::{Exit, Habit, Plan};
use crate::random::Random;
use crate::tally::Tally;
use crate::wire::{Item, Owed, Reader, Writer, split};

/// What all clients of a round share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) target: Target,
    pub(crate) addr: SocketAddr,
    pub(crate) tally: Arc<Tally>,
    pub(crate) history: Arc<History>,
    /// The round is over: whoever has a tunnel ends it in order.
    pub(crate) leaving: CancellationToken,
    /// The longest life of a tunnel.
    pub(crate) longest: Duration,
    pub(crate) tunnels: Arc<AtomicU64>,
}

/// A client's end of a tunnel.
#[derive(Debug)]
pub(crate) struct Session {
    world: Arc<World>,
    id: u64,
    plan: Plan,
    random: Random,
    /// From before the handshake: what was done to the upstream since then may end the tunnel.
    asked: Instant,
    shared: Shared,
}

/// What the halves of a session tell each other.
#[derive(Debug, Default)]
struct Shared {
    owed: Owed,
    sent: AtomicU64,
    echoed: AtomicU64,
    /// An echo came.
    news: Notify,
    /// The upstream has said that there is nothing after this.
    finished: CancellationToken,
    /// We have sent a Close.
    closed: CancellationToken,
}

/// What a client heard last.
#[derive(Debug)]
enum Heard {
    Close(u16, String),
    End(End),
    /// Something that must not come.
    Flaw(String),
}

// ===== impl World =====

impl World {
    pub(crate) fn session(self: &Arc<Self>, random: &mut Random) -> Session {
        let mut random = random.fork();
        Session {
            id: self.tunnels.fetch_add(1, Ordering::Relaxed),
            plan: Plan::new(&mut random, self.longest),
            world: Arc::clone(self),
            random,
            asked: Instant::now(),
            shared: Shared::default(),
        }
    }
}

// ===== impl Session =====

impl Session {
    pub(crate) fn path(&self) -> String {
        self.plan.path(self.id)
    }

    /// Lives through the tunnel, and judges its end.
    pub(crate) async fn live(mut self, opened: Opened) {
        let member = opened.response.fields.get("x-member");
        let member = member.and_then(|member| member.parse().ok());
        let tally = Arc::clone(&self.world.tally);
        let Some(member) = member else {
            return tally.fail(format!("tunnel {}: no upstream's name", self.id));
        };
        tally.one("tunnels opened");
        let (mut reader, mut writer) =
            split(opened.tunnel, Role::Client, self.random.fork(), DRIBBLES);
        let heard = {
            let listens = self.listen(&mut reader, self.random.clone());
            let talks = self.talk(&mut writer, self.random.clone());
            select! {
                heard = listens => Ok(heard),
                exit = talks => Err(exit),
            }
        };
        match heard {
            Err(exit) => {
                tally.one(&format!("clients left: {}", exit.name()));
                if exit == Exit::Rst || self.random.percent(50) {
                    reader.unsplit(writer).reset();
                }
            }
            Ok(heard) => {
                self.judge(&heard, member, reader.is_in_a_frame());
                if matches!(heard, Heard::Close(..)) {
                    self.answer(&heard, &mut writer).await;
                    let _ = timeout(GOODBYE, end_of(&mut reader)).await;
                }
            }
        }
    }

    /// Writes until this client leaves without a word; whoever waits for an answer stays here.
    async fn talk(&self, writer: &mut Writer, mut random: Random) -> Exit {
        match self.write(writer, &mut random).await {
            Ok(exit) => exit,
            // The reader will hear why.
            Err(_) => pending().await,
        }
    }

    async fn write(&self, writer: &mut Writer, random: &mut Random) -> io::Result<Exit> {
        let (shared, plan) = (&self.shared, &self.plan);
        let mut outbox = Outbox::new(self.id);
        let end = Instant::now() + plan.life;
        let mut exit = plan.exit;
        'life: loop {
            let pause = plan.habit.pause().map(|pause| random.millis(pause));
            let next = pause.map_or(end, |pause| end.min(Instant::now() + pause));
            loop {
                select! {
                    () = sleep_until(next) => break,
                    () = shared.owed.since.notified() => writer.settle(&shared.owed).await?,
                    () = self.world.leaving.cancelled() => {
                        exit = Exit::Orderly;
                        break 'life;
                    }
                }
            }
            if Instant::now() >= end {
                break;
            }
            for _ in 0..plan.habit.messages(random) {
                while self.is_full() {
                    select! {
                        () = shared.news.notified() => {}
                        () = shared.owed.since.notified() => writer.settle(&shared.owed).await?,
                    }
                }
                let length = plan.habit.length(random);
                let message = outbox.message(Kind::Echo, length, random);
                self.world.tally.one("messages to upstreams");
                self.world
                    .tally
                    .add("bytes to upstreams", message.len() as u64);
                // Before it is: its echo may be quicker than we are.
                shared.sent.fetch_add(1, Ordering::Relaxed);
                let frames = plan.habit.frames(random);
                writer.message(message, frames, &shared.owed).await?;
            }
        }
        match exit {
            Exit::Fin | Exit::Rst => return Ok(exit),
            Exit::MidFrame => {
                writer.half_a_frame().await?;
                return Ok(exit);
            }
            Exit::Close | Exit::CloseAndGo => {}
            Exit::Orderly => {
                let last = outbox.message_of(Kind::Last, &[]);
                writer.message(last, 1, &shared.owed).await?;
                while !shared.finished.is_cancelled() {
                    select! {
                        () = shared.finished.cancelled() => {}
                        () = shared.owed.since.notified() => writer.settle(&shared.owed).await?,
                    }
                }
            }
        }
        shared.closed.cancel();
        writer.send(Frame::close(1000, exit.name())).await?;
        match exit {
            Exit::CloseAndGo => Ok(exit),
            _ => pending().await,
        }
    }

    /// Whether so many echoes are missing that it waits for some.
    fn is_full(&self) -> bool {
        let room = match self.plan.habit {
            Habit::Bulk => 2,
            _ => 40,
        };
        let (sent, echoed) = (&self.shared.sent, &self.shared.echoed);
        sent.load(Ordering::Relaxed) - echoed.load(Ordering::Relaxed) >= room
    }

    async fn listen(&self, reader: &mut Reader, mut random: Random) -> Heard {
        let (shared, tally) = (&self.shared, &self.world.tally);
        let mut inbox = Inbox::new(self.id);
        loop {
            let message = match reader.next().await {
                Err(end) => return Heard::End(end),
                Ok(Item::Close(code, reason)) => return Heard::Close(code, reason),
                Ok(Item::Pong) => return Heard::Flaw("a pong that nobody asked for".to_owned()),
                Ok(Item::Ping(payload)) => {
                    tally.one("pings answered by clients");
                    shared.owed.pong(payload);
                    continue;
                }
                Ok(Item::Message(message)) => message,
            };
            tally.one("messages to clients");
            tally.add("bytes to clients", message.len() as u64);
            let message = match inbox.take(&message) {
                Ok(message) => message,
                Err(flaw) => return Heard::Flaw(format!("a message is {flaw}")),
            };
            match message.kind {
                Kind::Echo => {
                    shared.echoed.fetch_add(1, Ordering::Relaxed);
                    shared.news.notify_one();
                }
                Kind::News => {}
                Kind::Last => {
                    let sent = shared.sent.load(Ordering::Relaxed);
                    let told = [sent, inbox.taken(Kind::News)]
                        .map(u64::to_be_bytes)
                        .concat();
                    if message.body != told || inbox.taken(Kind::Echo) != sent {
                        let why = "lost: the upstream counts other messages than the client";
                        return Heard::Flaw(why.to_owned());
                    }
                    shared.finished.cancel();
                }
            }
            if self.plan.is_slow && random.percent(2) {
                tally.one("pauses of slow readers");
                sleep(random.millis(300..2_000)).await;
            }
        }
    }

    /// Whether this may be the end of the tunnel. What it counts is what the client saw.
    fn judge(&self, heard: &Heard, member: usize, is_in_a_frame: bool) {
        let tally = &self.world.tally;
        let history = &self.world.history;
        let we_closed = self.shared.closed.is_cancelled();
        let was_killed = history.was_killed(member, self.asked);
        let what = match heard {
            Heard::Flaw(flaw) => return self.fail(flaw),
            Heard::Close(1000, reason) if we_closed => {
                if reason != self.closing() {
                    return self.fail(&format!("another reason: {reason:?}"));
                }
                if self.shared.finished.is_cancelled() {
                    tally.one("tunnels that survived");
                }
                "1000, the client's own"
            }
            Heard::Close(1012, _) if history.was_removed(member, self.asked) => {
                "1012, the endpoint was removed"
            }
            Heard::Close(1014, _) if was_killed => "1014, the upstream was killed",
            Heard::Close(code, reason) => {
                return self.fail(&format!("Close {code} {reason:?} for no reason"));
            }
            Heard::End(_) if was_killed && we_closed => {
                "none: the upstream was killed before it answered the client's Close"
            }
            Heard::End(_) if was_killed && is_in_a_frame => {
                "none: the upstream was killed within a frame"
            }
            Heard::End(end) => {
                let killed = if was_killed { ", after a kill" } else { "" };
                return self.fail(&format!("1006{killed}: {end:?}"));
            }
        };
        tally.one(&format!("Close {what}"));
    }

    fn fail(&self, what: &str) {
        let Self { id, plan, .. } = self;
        self.world
            .tally
            .fail(format!("tunnel {id}: {what} ({plan:?})"));
    }

    /// The reason of the Close that we send.
    fn closing(&self) -> &'static str {
        match self.shared.finished.is_cancelled() {
            true => Exit::Orderly.name(),
            false => self.plan.exit.name(),
        }
    }

    /// Answers a Close (RFC 6455 5.5.1), unless we stand within a frame: the answer would be part of that.
    async fn answer(&self, heard: &Heard, writer: &mut Writer) {
        let Heard::Close(code, _) = heard else { return };
        if !self.shared.closed.is_cancelled() && !writer.is_in_a_frame() {
            let _ = timeout(GOODBYE, writer.send(Frame::close(*code, ""))).await;
        }
    }
}

/// Waits until the other side is gone.
async fn end_of(reader: &mut Reader) {
    while reader.next().await.is_ok() {}
}

/// Of a hundred frames.
const DRIBBLES: u64 = 2;

/// How long a client waits for the end after a Close: longer than the gateway lets it.
const GOODBYE: Duration = Duration::from_secs(8);
