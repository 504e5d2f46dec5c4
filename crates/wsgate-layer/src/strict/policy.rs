use http::HeaderMap;
use wsgate_frame::{CloseCode, CloseFault, Event, HeaderFault, Role, Violation};

use super::extensions::Agreed;
use crate::{
    guard::{Ending, LINGER, PeerEnds, Policy, Wants},
    moment::Moment,
    tunnel::Cause,
};

/// Refuses frames that break a rule.
#[derive(Debug)]
pub(crate) struct StrictPolicy {
    agreed: Agreed,
}

// ===== impl StrictPolicy =====

impl StrictPolicy {
    /// For a WebSocket that was opened with this answer.
    pub(crate) fn new(answer: &HeaderMap) -> Self {
        Self {
            agreed: Agreed::of(answer),
        }
    }

    /// The rule that a frame breaks, if this event tells of one.
    fn violation(&self, event: &Event<'_>) -> Option<Violation> {
        match event {
            // The tracker allows all bits, as it knows nothing of extensions.
            Event::FrameBegin { header, .. } if !self.agreed.allows_bits(header) => {
                Some(Violation::Header(HeaderFault::ReservedBits))
            }
            Event::Violation {
                violation: Violation::Header(HeaderFault::ReservedOpcode),
                ..
            } if self.agreed.allows_opcodes() => None,
            Event::Violation { violation, .. } => Some(*violation),
            _ => None,
        }
    }
}

impl Policy for StrictPolicy {
    fn wants(&self) -> Wants {
        Wants::STRICT
    }

    #[inline]
    fn refuses(&mut self, event: &Event<'_>, from: Role) -> Option<Ending> {
        let violation = self.violation(event)?;
        Some(Ending {
            cause: Cause::ProtocolError(violation),
            code: CloseCode::PROTOCOL_ERROR,
            reason: reason(violation, from),
            peer: PeerEnds::Politely {
                until: Moment::now() + LINGER,
            },
        })
    }
}

/// What both sides are told: who it was, as one of them was not, and the rule.
fn reason(violation: Violation, from: Role) -> &'static str {
    macro_rules! by {
        ($fault:literal) => {
            match from {
                Role::Client => concat!("client: ", $fault),
                Role::Server => concat!("server: ", $fault),
            }
        };
    }
    match violation {
        Violation::LengthOverflow => by!("frame length of more than 63 bits"),
        Violation::Unmasked => by!("frame without a mask"),
        Violation::Masked => by!("frame with a mask"),
        Violation::UnexpectedContinuation => by!("continuation of no message"),
        Violation::InterruptedMessage => by!("new message inside a fragmented one"),
        Violation::DataAfterClose => by!("data frame after a close"),
        Violation::Header(fault) => match fault {
            HeaderFault::ReservedBits => by!("reserved bit without an extension"),
            HeaderFault::ReservedOpcode => by!("reserved opcode"),
            HeaderFault::FragmentedControl => by!("fragmented control frame"),
            HeaderFault::LongControl => by!("control frame of more than 125 bytes"),
            HeaderFault::NonMinimalLength => by!("length not in its shortest form"),
            _ => by!("wrong header"),
        },
        Violation::Close(fault) => match fault {
            CloseFault::HalfCode => by!("close payload of one byte"),
            CloseFault::UnsendableCode(_) => by!("close code that must not be sent"),
            CloseFault::ReasonNotUtf8 => by!("close reason is not utf-8"),
            _ => by!("wrong close"),
        },
        _ => by!("wrong frame"),
    }
}
