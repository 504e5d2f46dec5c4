//! The tracker against the model, however the stream is cut.

use wsgate_frame::{Role, Rsv, Tracker};

use super::model::{Account, Seen};

/// Takes a role, reserved bits and three cuts from the first bytes, and the rest for the stream.
pub(crate) fn holds_for(bytes: &[u8]) {
    let Some((&[flags, cuts @ ..], stream)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let role = if flags & 1 != 0 {
        Role::Client
    } else {
        Role::Server
    };
    let cuts = cuts.map(usize::from);
    any_cutting_agrees_with_the_model(role, Rsv::from_bits(flags), stream, &cuts);
}

/// Whole, cut into pieces of these sizes, or byte by byte: the tracker says what the model says,
/// and says it as soon as it can.
pub(crate) fn any_cutting_agrees_with_the_model(
    role: Role,
    allowed: Rsv,
    stream: &[u8],
    sizes: &[usize],
) {
    let expected = Account::model(role, allowed, stream);
    let new = || Follower {
        tracker: Tracker::new(role).allow_rsv(allowed),
        events: Vec::new(),
    };

    let mut whole = new();
    whole.feed(stream);
    assert_eq!(whole.account(), expected, "in one piece");

    let mut bytewise = new();
    stream.chunks(1).for_each(|byte| bytewise.feed(byte));
    assert_eq!(bytewise.account(), expected, "byte by byte");

    let mut cut = new();
    let mut at = 0;
    for size in sizes {
        let end = stream.len().min(at + size);
        cut.feed(&stream[at..end]);
        at = end;
        let expected = Account::model(role, allowed, &stream[..end]);
        assert_eq!(
            cut.account(),
            expected,
            "after {end} bytes, cut by {sizes:?}"
        );
    }
    cut.feed(&stream[at..]);
    assert_eq!(cut.account(), expected, "cut by {sizes:?}");
}

/// A tracker and what it reported.
struct Follower {
    tracker: Tracker,
    events: Vec<Seen>,
}

// ===== impl Follower =====

impl Follower {
    fn feed(&mut self, chunk: &[u8]) {
        self.tracker
            .feed(chunk, |event| self.events.push(event.into()));
    }

    fn account(&self) -> Account {
        Account::of(&self.tracker, self.events.clone())
    }
}
