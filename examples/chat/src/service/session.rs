//! One connection, from hello to Close.

use std::{convert::Infallible, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout, timeout_at},
};
use tracing::debug;

use super::{
    names::{PersonName, RoomName},
    pace::Pace,
    protocol::{ClientFrame, ErrorCode, Refusal, ServerFrame},
    rooms::{Hub, Membership, encode, unix_millis},
};

/// The service's side of one connection.
#[derive(Debug)]
pub(super) struct Session {
    socket: WebSocket,
    hub: Hub,
    /// Held for as long as the connection lives.
    _seat: OwnedSemaphorePermit,
    membership: Option<Membership>,
    pace: Pace,
    patience: Pace,
    heard: Instant,
}

/// Why a session is over.
#[derive(Debug)]
enum End {
    /// The client said goodbye, or is gone.
    Gone,
    /// We say goodbye.
    Close { code: u16, reason: &'static str },
}

// ===== impl Session =====

impl Session {
    pub(super) fn new(socket: WebSocket, hub: Hub, seat: OwnedSemaphorePermit) -> Self {
        Self {
            pace: hub.limits().pace.clone(),
            patience: hub.limits().patience.clone(),
            socket,
            hub,
            _seat: seat,
            membership: None,
            heard: Instant::now(),
        }
    }

    /// Serves the client to its end. `protocol` is how it came in, if the site told us.
    pub(super) async fn run(mut self, protocol: Option<String>) {
        let Err(end) = self.converse(protocol).await;
        debug!(?end, "session over");
        // The others see the person go before the goodbyes, which may take a while.
        self.membership = None;
        if let End::Close { code, reason } = end {
            self.say_goodbye(code, reason).await;
        }
    }

    async fn converse(&mut self, protocol: Option<String>) -> Result<Infallible, End> {
        let hub = self.hub.clone();
        let limits = hub.limits();
        let hello = ServerFrame::Hello {
            protocol,
            limits: limits.bounds(),
            time: unix_millis(),
        };
        self.send(&hello).await?;

        let mut rooms = hub.changes();
        rooms.mark_changed();
        let mut rooms_not_before = Instant::now();
        let mut ping = interval_at(Instant::now() + limits.ping, limits.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            // Everything waited for here may be dropped and asked for again without loss.
            tokio::select! {
                message = self.socket.recv() => {
                    self.heard = Instant::now();
                    match message {
                        Some(Ok(message)) => self.receive(message).await?,
                        Some(Err(_)) | None => return Err(End::Gone),
                    }
                }
                event = next_event(&mut self.membership) => self.pass_on(event).await?,
                () = next_change(&mut rooms, rooms_not_before) => {
                    rooms_not_before = Instant::now() + limits.rooms_every;
                    self.send(&ServerFrame::Rooms { rooms: hub.rooms() }).await?;
                }
                _ = ping.tick() => {
                    if self.heard.elapsed() >= limits.silence {
                        return Err(End::Gone);
                    }
                    self.transmit(Message::Ping(Default::default())).await?;
                }
                () = hub.closing() => return Err(End::close(close_code::AWAY, "the service is stopping")),
            }
        }
    }

    /// Acts on what the client sent.
    async fn receive(&mut self, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => {
                return Err(End::close(close_code::UNSUPPORTED, "text frames only"));
            }
            // axum answers pings and the client's Close.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        if text.len() > self.hub.limits().frame_bytes {
            return Err(End::close(close_code::SIZE, "that frame is too big"));
        }
        let outcome = if !self.pace.allow(Instant::now()) {
            Err(Refusal::new(ErrorCode::TooFast, "slow down a little"))
        } else {
            match serde_json::from_str(&text) {
                Ok(frame) => self.act(frame),
                Err(error) => Err(Refusal::new(ErrorCode::BadFrame, error.to_string())),
            }
        };
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => self.send(&answer).await,
            Err(refusal) => {
                self.send(&refusal.into()).await?;
                if self.patience.allow(Instant::now()) {
                    Ok(())
                } else {
                    Err(End::close(close_code::POLICY, "too many refused frames"))
                }
            }
        }
    }

    /// Does what a frame asks for, and says what to answer.
    fn act(&mut self, frame: ClientFrame) -> Result<Option<ServerFrame>, Refusal> {
        match frame {
            ClientFrame::Join { room, name } => {
                let room = RoomName::parse(&room, self.hub.limits())?;
                let name = PersonName::parse(&name, self.hub.limits())?;
                // The old place is given up only when there is a new one, and the snapshot is taken
                // after that: whoever only changes the name must not see itself leave.
                let new = self.hub.join(room, name)?;
                let membership = self.membership.insert(new);
                Ok(Some(ServerFrame::Joined(membership.snapshot())))
            }
            ClientFrame::Say { text, key } => self.joined()?.say(&text, key).map(|()| None),
            ClientFrame::Typing { active } => {
                self.joined()?.typing(active);
                Ok(None)
            }
            ClientFrame::Ping { at } => Ok(Some(ServerFrame::Pong {
                at,
                time: unix_millis(),
            })),
        }
    }

    /// Passes on what happened in the room; to a client that was too slow to hear it all, the room as
    /// it is now.
    async fn pass_on(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Frame(frame) => self.transmit(Message::Text(frame)).await,
            Event::Missed { count, snapshot } => {
                self.send(&ServerFrame::Missed { count }).await?;
                self.send(&snapshot).await
            }
        }
    }

    fn joined(&self) -> Result<&Membership, Refusal> {
        self.membership
            .as_ref()
            .ok_or_else(|| Refusal::new(ErrorCode::NotJoined, "join a room first"))
    }

    async fn send(&mut self, frame: &ServerFrame) -> Result<(), End> {
        self.transmit(Message::Text(encode(frame))).await
    }

    async fn transmit(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.hub.limits().send, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn say_goodbye(&mut self, code: u16, reason: &'static str) {
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        }));
        if self.transmit(close).await.is_err() {
            return;
        }
        // A socket closed with unread bytes in it resets the connection, which can overtake the Close.
        let deadline = Instant::now() + GOODBYE;
        while let Ok(Some(Ok(_))) = timeout_at(deadline, self.socket.recv()).await {}
    }
}

// ===== impl End =====

impl End {
    fn close(code: u16, reason: &'static str) -> Self {
        Self::Close { code, reason }
    }
}

// ===== helpers =====

/// What came out of a room's feed.
#[derive(Debug)]
enum Event {
    Frame(Utf8Bytes),
    Missed { count: u64, snapshot: ServerFrame },
}

/// The next thing in the room, if the client is in one.
async fn next_event(membership: &mut Option<Membership>) -> Event {
    let Some(membership) = membership else {
        return std::future::pending().await;
    };
    match membership.next().await {
        Ok(frame) => Event::Frame(frame),
        Err(missed) => Event::Missed {
            count: missed.0,
            snapshot: ServerFrame::Joined(membership.snapshot()),
        },
    }
}

/// The next change of the list of rooms; those in quick succession become one.
async fn next_change(rooms: &mut watch::Receiver<()>, not_before: Instant) {
    sleep_until(not_before).await;
    if rooms.changed().await.is_err() {
        unreachable!("the session holds the hub, so its channel is open");
    }
}

/// How long to wait for the client's Close after ours.
const GOODBYE: Duration = Duration::from_secs(2);
