//! The rooms: who is in them, and what was said there.
//!
//! One lock holds all of it, for microseconds at a time and never across an `await`. What happens in a
//! room goes to its people through a bounded broadcast channel, serialised once for all of them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::extract::ws::Utf8Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch},
    time::Instant,
};

use super::{
    Limits,
    names::{PersonName, RoomName, parse_text},
    protocol::{ErrorCode, Message, Person, Refusal, RoomSummary, ServerFrame, Snapshot},
};

/// All rooms. Clones are the same hub.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Inner>);

/// Somebody's place in a room, left when this is dropped.
#[derive(Debug)]
pub(super) struct Membership {
    hub: Hub,
    room: RoomName,
    person: Person,
    feed: broadcast::Receiver<Utf8Bytes>,
}

/// So many frames went by unread; what is in the feed now is not what comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Missed(pub(super) u64);

#[derive(Debug)]
struct Inner {
    limits: Limits,
    rooms: Mutex<Rooms>,
    /// Changes when the list of rooms does.
    changes: watch::Sender<()>,
    closing: watch::Sender<bool>,
    /// A permit for each connection.
    seats: Arc<Semaphore>,
}

#[derive(Debug)]
struct Rooms {
    by_name: BTreeMap<RoomName, Room>,
    last_person: u64,
    last_message: u64,
}

#[derive(Debug)]
struct Room {
    people: BTreeMap<u64, PersonName>,
    /// At most `Limits::history`, oldest first.
    history: VecDeque<Arc<Message>>,
    feed: broadcast::Sender<Utf8Bytes>,
    /// Since when nobody is here.
    empty_since: Option<Instant>,
    /// One of [`STANDING_ROOMS`].
    standing: bool,
}

// ===== impl Hub =====

impl Hub {
    pub(crate) fn new(limits: Limits) -> Self {
        let mut rooms = Rooms {
            by_name: BTreeMap::new(),
            last_person: 0,
            // A restarted service goes on above the ids that it gave before, at up to a thousand
            // messages a millisecond; JavaScript counts to 2^53, which this reaches in the year 2255.
            last_message: unix_millis() * 1000,
        };
        for name in STANDING_ROOMS {
            let name = RoomName::parse(name, &limits).expect("the standing rooms have valid names");
            rooms.by_name.insert(name, Room::new(&limits, true));
        }
        Self(Arc::new(Inner {
            rooms: Mutex::new(rooms),
            changes: watch::Sender::new(()),
            closing: watch::Sender::new(false),
            seats: Arc::new(Semaphore::new(limits.connections)),
            limits,
        }))
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// A place for one more connection.
    pub(super) fn seat(&self) -> Option<OwnedSemaphorePermit> {
        self.0.seats.clone().try_acquire_owned().ok()
    }

    /// The rooms by name, with the number of people in them.
    pub(crate) fn rooms(&self) -> Vec<RoomSummary> {
        let mut rooms = self.lock();
        rooms.forget(self.limits());
        rooms
            .by_name
            .iter()
            .map(|(name, room)| RoomSummary {
                name: name.clone(),
                people: room.people.len(),
            })
            .collect()
    }

    /// What was last said in a room, oldest first.
    pub(crate) fn history(&self, room: &str) -> Option<Vec<Arc<Message>>> {
        let name = RoomName::parse(room, self.limits()).ok()?;
        let rooms = self.lock();
        let room = rooms.by_name.get(&name)?;
        Some(room.history.iter().cloned().collect())
    }

    /// Changes whenever [`rooms`](Self::rooms) does because somebody came or went.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Takes somebody into a room, which is opened if need be.
    pub(super) fn join(&self, room: RoomName, name: PersonName) -> Result<Membership, Refusal> {
        let limits = self.limits();
        let mut rooms = self.lock();
        rooms.last_person += 1;
        let id = rooms.last_person;
        let place = rooms.open(&room, limits)?;
        if place.people.len() >= limits.people {
            let message = format!("{room} is full");
            return Err(Refusal::new(ErrorCode::RoomFull, message));
        }
        let person = Person { id, name };
        place.tell(&ServerFrame::Arrived {
            person: person.clone(),
        });
        place.people.insert(id, person.name.clone());
        place.empty_since = None;
        let feed = place.feed.subscribe();
        drop(rooms);
        self.0.changes.send_replace(());
        Ok(Membership {
            hub: self.clone(),
            room,
            person,
            feed,
        })
    }

    /// Sends everybody away and waits until they are gone.
    pub(crate) async fn close(&self) {
        self.0.closing.send_replace(true);
        let all = u32::try_from(self.limits().connections).unwrap_or(u32::MAX);
        // Once all seats are taken by ourselves no new connection finds one.
        match self.0.seats.acquire_many(all).await {
            Ok(seats) => seats.forget(),
            Err(_) => unreachable!("the semaphore is never closed"),
        }
    }

    /// Resolves when [`close`](Self::close) is called, or was.
    pub(super) async fn closing(&self) {
        let closing = self
            .0
            .closing
            .subscribe()
            .wait_for(|closing| *closing)
            .await
            .is_ok();
        assert!(closing, "the hub is alive, so its channel is");
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        // Nothing panics half-way through a change; if it ever did, a chat with an odd count of
        // people is better than none.
        self.0.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Membership =====

impl Membership {
    /// The room as it is now. The [next](Self::next) frame is the first that is not yet in it.
    pub(super) fn snapshot(&mut self) -> Snapshot {
        let rooms = self.hub.lock();
        let room = rooms.occupied(&self.room);
        self.feed = room.feed.subscribe();
        Snapshot {
            you: self.person.id,
            room: self.room.clone(),
            people: room
                .people
                .iter()
                .map(|(&id, name)| Person {
                    id,
                    name: name.clone(),
                })
                .collect(),
            history: room.history.iter().cloned().collect(),
            time: unix_millis(),
        }
    }

    /// The next thing that happens in the room.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Utf8Bytes, Missed> {
        match self.feed.recv().await {
            Ok(frame) => Ok(frame),
            Err(broadcast::error::RecvError::Lagged(count)) => Err(Missed(count)),
            Err(broadcast::error::RecvError::Closed) => {
                unreachable!("a room outlives the people in it")
            }
        }
    }

    /// Says something to everybody in the room.
    pub(super) fn say(&self, text: &str, key: Option<String>) -> Result<(), Refusal> {
        let limits = self.hub.limits();
        let text = parse_text(text, limits)?;
        if key
            .as_ref()
            .is_some_and(|key| key.chars().count() > limits.key_chars)
        {
            let message = format!("a key has at most {} characters", limits.key_chars);
            return Err(Refusal::new(ErrorCode::BadText, message));
        }
        let mut rooms = self.hub.lock();
        let said = &rooms.occupied(&self.room).history;
        if key.is_some() && said.iter().any(|message| message.key == key) {
            return Ok(());
        }
        rooms.last_message += 1;
        let message = Arc::new(Message {
            id: rooms.last_message,
            at: unix_millis(),
            from: self.person.clone(),
            text,
            key,
        });
        let room = rooms.occupied_mut(&self.room);
        if room.history.len() == limits.history {
            room.history.pop_front();
        }
        room.history.push_back(message.clone());
        room.tell(&ServerFrame::Message(message));
        Ok(())
    }

    /// Tells everybody in the room whether this person is typing.
    pub(super) fn typing(&self, active: bool) {
        self.hub
            .lock()
            .occupied(&self.room)
            .tell(&ServerFrame::Typing {
                person: self.person.id,
                active,
            });
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut rooms = self.hub.lock();
        let room = rooms.occupied_mut(&self.room);
        room.people.remove(&self.person.id);
        if room.people.is_empty() {
            room.empty_since = Some(Instant::now());
        }
        room.tell(&ServerFrame::Left {
            person: self.person.clone(),
        });
        drop(rooms);
        self.hub.0.changes.send_replace(());
    }
}

// ===== impl Rooms =====

impl Rooms {
    /// The room of that name, made if there may be one more.
    fn open(&mut self, name: &RoomName, limits: &Limits) -> Result<&mut Room, Refusal> {
        self.forget(limits);
        if !self.by_name.contains_key(name) {
            if self.by_name.len() >= limits.rooms && !self.forget_emptiest() {
                let message = format!("there are {} rooms already", self.by_name.len());
                return Err(Refusal::new(ErrorCode::TooManyRooms, message));
            }
            self.by_name.insert(name.clone(), Room::new(limits, false));
        }
        Ok(self.occupied_mut(name))
    }

    /// Forgets rooms that have been empty for long. Every look at the list does it, so that no task
    /// has to.
    fn forget(&mut self, limits: &Limits) {
        self.by_name.retain(|_, room| {
            let stale = |since: Instant| since.elapsed() >= limits.memory;
            room.standing || !room.empty_since.is_some_and(stale)
        });
    }

    /// Makes place for a room by forgetting the one that has been empty for longest.
    fn forget_emptiest(&mut self) -> bool {
        let emptiest = self
            .by_name
            .iter()
            .filter(|(_, room)| !room.standing)
            .filter_map(|(name, room)| Some((room.empty_since?, name.clone())))
            .min();
        emptiest.is_some_and(|(_, name)| self.by_name.remove(&name).is_some())
    }

    fn occupied(&self, name: &RoomName) -> &Room {
        self.by_name.get(name).expect(OCCUPIED)
    }

    fn occupied_mut(&mut self, name: &RoomName) -> &mut Room {
        self.by_name.get_mut(name).expect(OCCUPIED)
    }
}

// ===== impl Room =====

impl Room {
    fn new(limits: &Limits, standing: bool) -> Self {
        Self {
            people: BTreeMap::new(),
            history: VecDeque::new(),
            feed: broadcast::Sender::new(limits.queue),
            empty_since: Some(Instant::now()),
            standing,
        }
    }

    /// Puts a frame into everybody's feed. Never waits: who is slow will have missed it.
    fn tell(&self, frame: &ServerFrame) {
        // It fails when nobody listens, and then nobody is missed.
        let _ = self.feed.send(encode(frame));
    }
}

// ===== helpers =====

/// A frame as it goes over the wire.
pub(super) fn encode(frame: &ServerFrame) -> Utf8Bytes {
    serde_json::to_string(frame)
        .expect("the frames have string keys and plain values only")
        .into()
}

/// The time now, in milliseconds since 1970.
pub(super) fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// Rooms that are always there, so that the first visitor has somewhere to go.
const STANDING_ROOMS: [&str; 3] = ["lobby", "garden", "workshop"];

/// Why a room that was just opened, or has somebody in it, is there.
const OCCUPIED: &str = "only empty rooms are forgotten, and not while they are entered";
