//! WebSocket frame boundaries, control frames and close codes, without I/O.
//!
//! This is the part of a WebSocket relay that knows what the bytes mean. It answers three questions
//! about one direction of a connection, however the network cuts that direction into pieces: where
//! do frames begin and end, may a frame of our own go in *here*, and what have the two sides said
//! to each other in control frames.
//!
//! ```text
//!   read ──► chunk ──┬───────────── the same bytes, untouched ─────────────┬──► write
//!                    │                                                     │
//!                    └─► Tracker::feed ─┬─► Event: frame begins, ends,     │
//!                                       │   control frame, violation       │
//!                                       └─► can_inject? ─► ControlFrame ───┘
//! ```
//!
//! - [`Tracker`] follows one direction and reports an [`Event`] for all that passes.
//! - [`Header`] parses and writes frame headers, [`OpCode`], [`Rsv`] and [`CloseCode`] name the
//!   numbers in them.
//! - [`ControlFrame`] builds the pings, pongs and Closes that a relay sends of its own accord;
//!   [`Close`] reads a peer's.
//!
//! # What it is not
//!
//! It is no WebSocket implementation. It reads from no socket, knows no clock, makes no random
//! masks, does no handshake, assembles no message and never looks at a data payload: text is not
//! checked for UTF-8, and compressed messages are as good as any. Breaches of the protocol are
//! reported and then relayed on, because a gateway that repairs or refuses them would be one more
//! peer to be compatible with. Who wants to refuse them finds each one named in [`Violation`].
//!
//! # Example
//!
//! A relay that closes a connection on its own account, but only between two frames:
//!
//! ```
//! use wsgate_frame::{CloseCode, ControlFrame, Event, OpCode, Role, Tracker};
//!
//! // What the server sends: "Hello" in one text frame (RFC 6455 5.7), in two reads.
//! let mut from_server = Tracker::new(Role::Server);
//! let mut to_client = Vec::new();
//!
//! for chunk in [&b"\x81\x05Hel"[..], &b"lo"[..]] {
//!     from_server.feed(chunk, |event| {
//!         if let Event::FrameBegin { header, .. } = event {
//!             assert_eq!((header.opcode, header.len), (OpCode::Text, 5));
//!         }
//!     });
//!     to_client.extend_from_slice(chunk);
//! }
//!
//! assert!(from_server.can_inject());
//! // A server does not mask what it sends, and for the client we are the server.
//! let close = ControlFrame::close(CloseCode::GOING_AWAY, "maintenance", None)?;
//! to_client.extend_from_slice(&close);
//!
//! assert_eq!(from_server.counts().messages, 1);
//! assert_eq!(to_client, b"\x81\x05Hello\x88\x0d\x03\xe9maintenance");
//! # Ok::<(), wsgate_frame::ControlError>(())
//! ```
//!
//! # `no_std`
//!
//! The crate needs `core`, and `alloc` for one small box in a [`Tracker`] that met a control frame
//! cut in two.

#![no_std]

extern crate alloc;

mod close;
mod control;
mod event;
mod header;
mod mask;
mod opcode;
mod role;
mod rsv;
mod tracker;

pub use self::close::{Close, CloseCode, CloseFault};
pub use self::control::{ControlError, ControlFrame, MAX_CONTROL_PAYLOAD};
pub use self::event::{Event, Violation};
pub use self::header::{Header, HeaderFault, LengthOverflow};
pub use self::mask::apply_mask;
pub use self::opcode::OpCode;
pub use self::role::Role;
pub use self::rsv::Rsv;
pub use self::tracker::{Counts, Tracker};
