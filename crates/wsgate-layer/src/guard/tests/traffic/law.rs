//! The law itself.

use std::ops::Range;

use wsgate_frame::{Event, OpCode, Role, Tracker};

use super::{
    case::{Case, Leaves},
    handler::Heard,
    peer::Said,
    stack::{is_close, is_ping},
};
use crate::{guard::tests::frames::other, tunnel::Tunnel};

/// What arrived at one side.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// All but the frames of layers.
    pub(super) rest: Vec<u8>,
    /// Where the last whole frame ends, layers' frames included.
    whole: usize,
    len: usize,
    /// How many pings of layers there are.
    pub(super) pings: usize,
    /// How many pongs to those.
    pongs: usize,
    /// Whether a layer's Close is in it, and then it is the last.
    pub(super) told: bool,
    /// Whether another Close is in it.
    closed: bool,
}

/// Holds what came of a case to the law. Gives what arrived at the peer, and at the handler.
#[track_caller]
pub(super) fn hold(case: &Case, heard: &Heard, said: &Said, tunnel: &Tunnel) -> (Arrived, Arrived) {
    let ended = tunnel.end().is_some();
    let breaks = matches!(case.leaves, Leaves::Breaks { .. });

    let mut there = Arrived::of(other(case.peer), &said.got);
    if ended || breaks {
        there.forget_half_of_ours();
    }
    begins("what arrived at the peer", &heard.wrote, &there.rest);
    if !ended {
        assert!(!there.told, "a layer's Close came from nobody");
        assert!(
            breaks || there.rest.len() == heard.wrote.len(),
            "the peer lacks the rest"
        );
    }

    let mut here = Arrived::of(case.peer, &heard.read);
    if ended {
        here.forget_half_of_ours();
    }
    begins("what arrived at the handler", &said.sent, &here.rest);
    assert_eq!(
        (here.pings, here.pongs),
        (0, 0),
        "the handler saw what is not for it"
    );
    // Of a connection that breaks the handler may learn by an error, whichever layer meets it first.
    assert!(breaks || heard.end.is_ok(), "{:?}", heard.end);
    if ended && heard.end.is_ok() {
        assert!(tunnel.is_over());
        // In the middle of a frame it cannot be told.
        let knows = here.told || here.closed;
        assert_eq!(knows, here.whole == here.len, "{here:?}");
    }
    if !ended {
        assert!(!here.told, "a layer's Close came from nobody");
        // Where the connection broke, a layer may have kept the beginning of a frame that never came to
        // its end, or held all back that was left, until a write failed.
        let lacks = said.sent.len() - here.rest.len();
        let held = if case.pauses() { usize::MAX } else { 13 };
        assert!(
            lacks <= if breaks { held } else { 0 },
            "the handler lacks {lacks} bytes"
        );
    }
    (there, here)
}

#[track_caller]
fn begins(what: &str, sent: &[u8], arrived: &[u8]) {
    let same = sent.iter().zip(arrived).take_while(|(a, b)| a == b).count();
    assert!(
        same == arrived.len(),
        "{what} differs at {same} of {}: {:02x?}, and {:02x?} was sent",
        sent.len(),
        &arrived[same..arrived.len().min(same + 20)],
        &sent[same..sent.len().min(same + 20)],
    );
}

// ===== impl Arrived =====

impl Arrived {
    /// Takes the frames of layers out of what `role` has sent with them.
    #[track_caller]
    fn of(role: Role, bytes: &[u8]) -> Self {
        let mut all = Self::default();
        let mut ours: Vec<Range<usize>> = Vec::new();
        let mut is_ours = false;
        let mut begun = 0;
        Tracker::new(role).feed(bytes, |event| match event {
            Event::FrameBegin { start, .. } => {
                assert!(!all.told, "something follows a layer's Close");
                begun = start as usize;
            }
            Event::Control {
                opcode, payload, ..
            } => {
                match opcode {
                    OpCode::Ping if is_ping(payload) => all.pings += 1,
                    OpCode::Close if is_close(payload) => all.told = true,
                    OpCode::Pong => {
                        all.pongs += usize::from(is_ping(payload));
                        return;
                    }
                    OpCode::Close => {
                        all.closed = true;
                        return;
                    }
                    _ => return,
                }
                assert!(!all.closed, "a layer's frame follows a Close");
                is_ours = true;
            }
            Event::FrameEnd { end, .. } => {
                all.whole = end as usize;
                if std::mem::take(&mut is_ours) {
                    ours.push(begun..all.whole);
                }
            }
            Event::Violation { violation, start } => panic!("at {start}: {violation}"),
            _ => {}
        });
        all.len = bytes.len();
        assert!(
            !all.told || all.whole == all.len,
            "something follows a layer's Close"
        );

        let mut from = 0;
        for range in ours {
            all.rest.extend(&bytes[from..range.start]);
            from = range.end;
        }
        all.rest.extend(&bytes[from..]);
        all
    }

    /// Who was cut may have half a control frame of a layer's, or half an answer to one, which cannot
    /// be told from those of the other side: there is nothing to say of it.
    fn forget_half_of_ours(&mut self) {
        let half = self.len - self.whole;
        let start = self.rest.len() - half;
        if matches!(self.rest.get(start), Some(0x88..=0x8a)) {
            self.rest.truncate(start);
        }
    }
}
