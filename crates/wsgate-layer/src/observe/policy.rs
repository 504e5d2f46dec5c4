use std::{io, sync::Arc, time::Duration};

use http::StatusCode;
use wsgate_frame::{Counts, Event, OpCode, Role};

use super::{Closed, ClosedBy, Ended, Handshake, Observer, Traffic, record::Record};
use crate::{
    guard::{Action, Place, Policy, Wants},
    moment::Moment,
    tunnel::Tunnel,
};

/// Watches, and does nothing to the stream.
#[derive(Debug)]
pub(crate) struct ObservePolicy {
    record: Arc<Record>,
    opened: Moment,
    /// With what the handshake was answered.
    status: StatusCode,
    /// The first Close that passed, whole.
    first: Option<First>,
    /// How the stream itself ended first.
    broke: Option<Broke>,
    /// Boxed, so that only those pay for it who want it.
    traffic: Option<Box<Telling>>,
}

/// Tells of the traffic now and then.
#[derive(Debug, Default)]
struct Telling {
    /// What has been told: from the client, and to it.
    told: [Counts; 2],
    /// When to tell more. Set only while there is something to tell, so that an idle tunnel has no
    /// timer.
    next: Option<Moment>,
}

/// Where a Close came from.
#[derive(Clone, Copy, Debug)]
struct First {
    from: Role,
    /// Whether a layer had ended the WebSocket by then: the Close is the layer's, or the answer to it.
    is_layers: bool,
}

/// How a stream ends by itself: an [`Ended`] in less room.
#[derive(Clone, Copy, Debug)]
enum Broke {
    Eof,
    Lost(io::ErrorKind),
    Dropped,
}

/// Shorter than the 15 s to a minute between two looks of a metrics collector.
const TRAFFIC_EVERY: Duration = Duration::from_secs(10);

// ===== impl ObservePolicy =====

impl ObservePolicy {
    pub(super) fn new(record: Arc<Record>, status: StatusCode) -> Self {
        let traffic = record.wants_traffic().then(Box::default);
        Self {
            record,
            opened: Moment::now(),
            status,
            first: None,
            broke: None,
            traffic,
        }
    }

    fn on_event(&mut self, from: Role, event: &Event<'_>, tunnel: &Tunnel) {
        let is_close = matches!(
            event,
            Event::Control {
                opcode: OpCode::Close,
                ..
            }
        );
        if is_close && self.first.is_none() {
            self.first = Some(First {
                from,
                is_layers: tunnel.end().is_some(),
            });
        }
    }

    fn on_bytes(&mut self, now: impl FnOnce() -> Moment) {
        if let Some(traffic) = &mut self.traffic {
            let next = &mut traffic.next;
            next.get_or_insert_with(|| now() + TRAFFIC_EVERY);
        }
    }

    fn tell_traffic(&mut self, place: Place<'_>) {
        let Some(telling) = &mut self.traffic else {
            return;
        };
        telling.next = None;
        let counts = [place.incoming.counts(), place.outgoing.counts()];
        if counts == telling.told {
            return;
        }
        let traffic = Traffic::between(telling.told, counts);
        telling.told = counts;
        let tell = |observer: &dyn Observer, handshake: &Handshake<'_>| {
            if observer.wants_traffic() {
                observer.traffic(handshake, &traffic);
            }
        };
        self.record.tell(place.tunnel, tell);
    }

    /// What came first, and by whom.
    fn ending(&self, tunnel: &Tunnel) -> (ClosedBy, Ended) {
        match (self.first, tunnel.end()) {
            (Some(first), _) if !first.is_layers => {
                let by = match first.from {
                    Role::Client => ClosedBy::Client,
                    Role::Server => ClosedBy::Server,
                };
                (by, Ended::Close)
            }
            (_, Some(end)) => (ClosedBy::Gateway, Ended::Layer(end)),
            _ => match self.broke {
                Some(Broke::Eof) => (ClosedBy::Client, Ended::Eof),
                Some(Broke::Lost(kind)) => (ClosedBy::Client, Ended::Lost(kind)),
                Some(Broke::Dropped) | None => (ClosedBy::Server, Ended::Dropped),
            },
        }
    }
}

impl Policy for ObservePolicy {
    fn wants(&self) -> Wants {
        let wants_traffic = self.traffic.is_some();
        Wants::FRAMES.and(Wants::HASTE).only_if(wants_traffic)
    }

    fn counts_unread(&self) -> bool {
        true
    }

    fn on_read(&mut self, now: Moment) {
        self.on_bytes(|| now);
    }

    fn on_incoming(&mut self, event: &Event<'_>, _: Moment, tunnel: &Tunnel) {
        self.on_event(Role::Client, event, tunnel);
    }

    fn on_outgoing(&mut self, event: &Event<'_>, tunnel: &Tunnel) {
        self.on_bytes(Moment::now);
        self.on_event(Role::Server, event, tunnel);
    }

    fn deadline(&self) -> Option<Moment> {
        self.traffic.as_ref()?.next
    }

    fn on_deadline(&mut self, _: Moment, place: Place<'_>) -> Option<Action> {
        self.tell_traffic(place);
        None
    }

    fn on_end(&mut self, error: Option<&io::Error>) {
        let broke = error.map_or(Broke::Eof, |error| Broke::Lost(error.kind()));
        self.broke.get_or_insert(broke);
    }

    fn on_shutdown(&mut self) {
        // The handler is the first to end its side.
        self.broke.get_or_insert(Broke::Dropped);
    }

    fn on_drop(&mut self, place: Place<'_>) {
        self.tell_traffic(place);
        let (by, ended) = self.ending(place.tunnel);
        let close = match self.first {
            Some(First {
                from: Role::Client, ..
            }) => place.incoming.close(),
            Some(First {
                from: Role::Server, ..
            }) => place.outgoing.close(),
            None => None,
        };
        let closed = Closed {
            status: self.status,
            duration: self.opened.elapsed(),
            from_client: place.incoming.counts(),
            to_client: place.outgoing.counts(),
            close,
            by,
            ended,
        };
        let tell = |observer: &dyn Observer, handshake: &Handshake<'_>| {
            observer.closed(handshake, &closed);
        };
        self.record.tell(place.tunnel, tell);
    }
}
