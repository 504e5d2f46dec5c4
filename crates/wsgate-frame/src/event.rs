//! What a [`Tracker`](crate::Tracker) reports.

use core::{error, fmt};

use crate::close::CloseFault;
use crate::header::{Header, HeaderFault};
use crate::opcode::OpCode;

/// Something that passed in one direction.
///
/// All positions are offsets in bytes from the first byte that the tracker was fed, so events do
/// not depend on how the network cut the bytes. For a place inside the present chunk, take off what
/// [`Tracker::offset`] said before it.
///
/// A frame's events come in this order: [`FrameBegin`](Self::FrameBegin), each
/// [`Violation`](Self::Violation), [`Control`](Self::Control), [`FrameEnd`](Self::FrameEnd).
///
/// # Example
///
/// ```
/// use wsgate_frame::{Event, Role, Tracker, Violation};
///
/// let mut seen = Vec::new();
/// // A client forgot the mask of its empty ping.
/// Tracker::new(Role::Client).feed(b"\x89\x00", |event| match event {
///     Event::FrameBegin { header, start, .. } => seen.push(format!("{start}: {}", header.opcode)),
///     Event::Violation { violation, start } => seen.push(format!("{start}: {violation}")),
///     _ => {}
/// });
/// assert_eq!(seen, ["0: ping", "0: client frame without a mask"]);
/// ```
///
/// [`Tracker::offset`]: crate::Tracker::offset
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A frame's header is whole. The payload, if any, has yet to pass.
    FrameBegin {
        /// What the header says.
        header: Header,
        /// Where the header begins.
        start: u64,
        /// Where the payload begins. It ends at `payload + header.len`.
        payload: u64,
    },
    /// A frame has passed, payload and all.
    FrameEnd {
        /// Where the next frame begins.
        end: u64,
        /// Whether a message ends here too: the frame was a data frame with the FIN bit.
        ends_message: bool,
    },
    /// A control frame has passed, one with an opcode that is reserved included.
    ///
    /// Those over 125 bytes are not reported here, only as [`HeaderFault::LongControl`].
    Control {
        /// Which kind of control frame.
        opcode: OpCode,
        /// The whole payload, unmasked.
        payload: &'a [u8],
        /// Where the frame's header begins.
        start: u64,
    },
    /// The sender broke a rule.
    Violation {
        /// Which rule.
        violation: Violation,
        /// Where the header of the frame begins that broke it.
        start: u64,
    },
}

/// A rule of RFC 6455 that a sender broke.
///
/// After all but [`LengthOverflow`](Self::LengthOverflow) the tracker knows where it stands, and
/// goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A length of more than 63 bits. The place is lost, and this is the tracker's last event.
    LengthOverflow,
    /// A header that breaks a rule by itself.
    Header(HeaderFault),
    /// A client sent a frame without a mask (5.1).
    Unmasked,
    /// A server sent a frame with a mask (5.1).
    Masked,
    /// A continuation frame, but no message to continue (5.4).
    UnexpectedContinuation,
    /// A new message began before the last one had ended (5.4).
    InterruptedMessage,
    /// A data frame after a Close (5.5.1).
    DataAfterClose,
    /// A Close whose payload breaks a rule.
    Close(CloseFault),
}

// ===== impl Violation =====

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LengthOverflow => f.write_str("frame length of more than 63 bits"),
            Self::Header(fault) => fault.fmt(f),
            Self::Unmasked => f.write_str("client frame without a mask"),
            Self::Masked => f.write_str("server frame with a mask"),
            Self::UnexpectedContinuation => f.write_str("continuation of no message"),
            Self::InterruptedMessage => f.write_str("new message inside a fragmented one"),
            Self::DataAfterClose => f.write_str("data frame after a close"),
            Self::Close(fault) => fault.fmt(f),
        }
    }
}

impl error::Error for Violation {}
