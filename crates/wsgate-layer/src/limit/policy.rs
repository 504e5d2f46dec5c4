use wsgate_frame::{CloseCode, Event, Header, MAX_CONTROL_PAYLOAD, OpCode, Role, Violation};

use super::{Excess, Rate, bucket::Bucket, gate::Permit};
use crate::{
    guard::{Action, Ending, LINGER, PeerEnds, Place, Policy, Wants},
    moment::Moment,
    tunnel::{Cause, Limit, Tunnel},
};

/// The limits on what a client may send.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StreamLimits {
    pub(super) frame_size: Option<u64>,
    pub(super) message_size: Option<u64>,
    pub(super) message_rate: Option<Rate>,
    pub(super) frame_rate: Option<Rate>,
    pub(super) byte_rate: Option<Rate>,
    pub(super) excess: Excess,
}

/// Holds the client of one WebSocket to its limits.
#[derive(Debug)]
pub(crate) struct LimitPolicy {
    /// Both sizes are [`NO_LIMIT`] where there is none.
    frame_size: u64,
    message_size: u64,
    excess: Excess,
    /// The payload that the frames of the message under way have announced.
    message: u64,
    /// Boxed, so that only those pay for them who want them.
    messages: Option<Box<Meter>>,
    frames: Option<Box<Meter>>,
    bytes: Option<Box<Meter>>,
    /// How many bytes the meter was told of.
    metered: u64,
    /// Whether more have been read since.
    has_read: bool,
    /// When something was read last.
    now: Moment,
    /// Until when the client waits.
    pause: Option<Moment>,
    /// The WebSocket is being ended for this.
    exceeded: Option<Limit>,
    tunnel: Tunnel,
    /// Not looked at, only held.
    _permit: Permit,
}

/// A bucket, and what its limit is called.
#[derive(Debug)]
struct Meter {
    bucket: Bucket,
    limit: Limit,
    /// Whether observers were told since the bucket was last full.
    told: bool,
}

/// More than any frame or message has.
const NO_LIMIT: u64 = u64::MAX;

// ===== impl LimitPolicy =====

impl LimitPolicy {
    pub(super) fn new(limits: StreamLimits, tunnel: Tunnel, permit: Permit) -> Self {
        let meter = |limit| move |rate| Box::new(Meter::new(rate, limit));
        Self {
            frame_size: limits.frame_size.unwrap_or(NO_LIMIT),
            message_size: limits.message_size.unwrap_or(NO_LIMIT),
            excess: limits.excess,
            message: 0,
            messages: limits.message_rate.map(meter(Limit::MessageRate)),
            frames: limits.frame_rate.map(meter(Limit::FrameRate)),
            bytes: limits.byte_rate.map(meter(Limit::ByteRate)),
            metered: 0,
            has_read: false,
            now: Moment::now(),
            pause: None,
            exceeded: None,
            tunnel,
            _permit: permit,
        }
    }

    /// The size limit that a frame breaks, if any.
    fn check_size(&mut self, header: &Header) -> Option<Limit> {
        let is_large = header.len > self.frame_size;
        if header.opcode.is_control() {
            // No limit is so small that a sound Close or ping would break it.
            let is_sound = header.len <= MAX_CONTROL_PAYLOAD as u64;
            return (is_large && !is_sound).then_some(Limit::FrameSize);
        }
        if is_large {
            return Some(Limit::FrameSize);
        }
        // A new message inside an unfinished one is an error, and counted on with that.
        self.message = self.message.saturating_add(header.len);
        if self.message > self.message_size {
            return Some(Limit::MessageSize);
        }
        if header.fin {
            self.message = 0;
        }
        None
    }

    /// The message rate, if this frame breaks it in a way that ends the WebSocket.
    fn check_messages(&mut self, header: &Header) -> Option<Limit> {
        let counts = header.opcode == OpCode::Ping || (header.fin && !header.opcode.is_control());
        let until = self.messages.as_mut().filter(|_| counts)?;
        let until = until.take(1, self.now, &self.tunnel)?;
        self.exceed(Limit::MessageRate, until)
    }

    /// The frame rate, if this frame breaks it in a way that ends the WebSocket.
    fn check_frames(&mut self) -> Option<Limit> {
        let until = self.frames.as_mut()?.take(1, self.now, &self.tunnel)?;
        self.exceed(Limit::FrameRate, until)
    }

    /// Has the client wait, or gives the limit for which the WebSocket is to be ended.
    fn exceed(&mut self, limit: Limit, until: Moment) -> Option<Limit> {
        match self.excess {
            Excess::HoldBack => {
                self.pause = self.pause.max(Some(until));
                None
            }
            Excess::Close => Some(limit),
        }
    }

    fn end(&mut self, limit: Limit) -> Ending {
        self.exceeded = Some(limit);
        ending(limit, self.now)
    }
}

impl Policy for LimitPolicy {
    fn wants(&self) -> Wants {
        let has_size = self.frame_size != NO_LIMIT || self.message_size != NO_LIMIT;
        let meters = [&self.messages, &self.frames, &self.bytes];
        let has_rate = meters.iter().any(|meter| meter.is_some());
        let ends = has_size || (has_rate && self.excess == Excess::Close);
        let holds_back = has_rate && self.excess == Excess::HoldBack;
        Wants::HEADERS
            .and(Wants::REFUSE.only_if(ends))
            .and(Wants::PAUSES.only_if(holds_back))
            .and(Wants::HASTE.only_if(has_rate))
    }

    fn on_read(&mut self, now: Moment) {
        self.now = now;
        self.pause = None;
        self.has_read = true;
    }

    fn on_frame(&mut self, header: &Header) -> Option<Ending> {
        if let Some(limit) = self.exceeded {
            // The handler hears the rest of the frame in which the limit was reached, and the
            // client's Close, but nothing else.
            let is_close = header.opcode == OpCode::Close;
            return (!is_close).then(|| ending(limit, self.now));
        }
        if let Some(limit) = self.check_size(header) {
            self.tunnel.limit(limit);
            return Some(self.end(limit));
        }
        let limit = self.check_frames().or(self.check_messages(header))?;
        Some(self.end(limit))
    }

    /// A length that is no number of bytes is larger than any limit, and nothing behind it can be
    /// counted.
    fn refuses(&mut self, event: &Event<'_>, _: Role) -> Option<Ending> {
        let Event::Violation {
            violation: Violation::LengthOverflow,
            ..
        } = event
        else {
            return None;
        };
        if self.exceeded.is_none() {
            self.tunnel.limit(Limit::FrameSize);
        }
        Some(self.end(Limit::FrameSize))
    }

    fn pauses_until(&self) -> Option<Moment> {
        self.pause
    }

    /// At once, after each read: only then is it known how much it was.
    fn deadline(&self) -> Option<Moment> {
        (self.has_read && self.bytes.is_some()).then_some(self.now)
    }

    fn on_deadline(&mut self, now: Moment, place: Place<'_>) -> Option<Action> {
        self.has_read = false;
        let read = place.incoming.offset() - self.metered;
        self.metered += read;
        let until = self.bytes.as_mut()?.take(read, now, &self.tunnel)?;
        let limit = self.exceed(Limit::ByteRate, until)?;
        Some(Action::End(self.end(limit)))
    }
}

fn ending(limit: Limit, now: Moment) -> Ending {
    let (code, reason) = match limit {
        Limit::FrameSize => (CloseCode::MESSAGE_TOO_BIG, "frame too big"),
        Limit::MessageSize => (CloseCode::MESSAGE_TOO_BIG, "message too big"),
        Limit::MessageRate => (CloseCode::POLICY_VIOLATION, "too many messages"),
        Limit::FrameRate => (CloseCode::POLICY_VIOLATION, "too many frames"),
        _ => (CloseCode::POLICY_VIOLATION, "too much data"),
    };
    Ending {
        cause: Cause::Limit(limit),
        code,
        reason,
        peer: PeerEnds::Politely {
            until: now + LINGER,
        },
    }
}

// ===== impl Meter =====

impl Meter {
    fn new(rate: Rate, limit: Limit) -> Self {
        Self {
            bucket: Bucket::new(rate),
            limit,
            told: false,
        }
    }

    /// Takes something out of the bucket. When the debt will be paid, if that made one.
    ///
    /// A client that sends as fast as it can goes into debt with each read: observers are told once,
    /// until it has come to rest.
    fn take(&mut self, units: u64, now: Moment, tunnel: &Tunnel) -> Option<Moment> {
        self.told &= !self.bucket.is_full(now);
        let until = self.bucket.take(units, now)?;
        if !self.told {
            self.told = true;
            tunnel.limit(self.limit);
        }
        Some(until)
    }
}
