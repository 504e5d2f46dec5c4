//! What is said, how it comes in pieces, and what the layers do meanwhile.

use proptest::{collection::vec, option, prelude::*};
use wsgate_frame::{OpCode, Role};

use crate::guard::tests::frames::Frame;

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) peer: Role,
    /// Whether the handler reads on one task and writes on another.
    pub(super) two_tasks: bool,
    pub(super) h2: bool,
    /// Whether all layers share one stream, or each has its own.
    pub(super) shared: bool,
    pub(super) handler_sends: Vec<Unit>,
    pub(super) peer_sends: Vec<Unit>,
    /// In which pieces. When a list has run out there are no more delays, and the pieces are large.
    pub(super) handler_writes: Vec<Step>,
    pub(super) handler_reads: Vec<Step>,
    /// Whether the handler flushes after each of its pieces. It does after the last.
    pub(super) flushes: Vec<bool>,
    pub(super) peer_sends_by: Vec<Step>,
    pub(super) peer_takes: Vec<Step>,
    /// After how long, and for how long.
    pub(super) flush_stalls: Vec<Step>,
    /// After how long the peer answers the pings that it gets, if at all. In the end it answers all.
    pub(super) answers: Vec<Option<u8>>,
    pub(super) leaves: Leaves,
    /// The first is nearest the wire.
    pub(super) layers: Vec<Layer>,
}

/// A delay in milliseconds, and a number of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step(pub(super) u8, pub(super) u16);

/// A message, or a control frame by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Message {
        len: u32,
        parts: u8,
        /// What stands between its frames.
        between: Option<(OpCode, u8)>,
    },
    Control(OpCode, u8),
}

/// How the peer ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaves {
    /// With a closing handshake.
    Politely,
    /// It says nothing more after that many milliseconds, and takes nothing either.
    Dies { at: u8 },
    /// It ends its direction at that place in what it sends.
    Ends { after: u16 },
    /// It breaks the connection there.
    Breaks { after: u16 },
}

/// What a layer does, with times in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    /// Pings again and again. Who does not answer one in time is cut.
    Pings {
        every: u16,
        times: u8,
        patience: Option<u16>,
    },
    Ends {
        at: u16,
        at_once: bool,
        unread: bool,
    },
    RefusesAbove {
        bytes: u32,
        at_once: bool,
    },
    Pauses {
        at: u16,
        long: u16,
    },
}

// ===== impl Case =====

impl Case {
    pub(super) fn pauses(&self) -> bool {
        self.layers
            .iter()
            .any(|layer| matches!(layer, Layer::Pauses { .. }))
    }
}

// ===== impl Unit =====

impl Unit {
    /// Its frames. What is in them can be told from what layers send.
    pub(super) fn frames(self) -> Vec<Frame> {
        match self {
            Self::Control(opcode, len) => vec![Frame::new(opcode, true, &vec![0x55; len.into()])],
            Self::Message {
                len,
                parts,
                between,
            } => {
                let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
                let size = (payload.len() / usize::from(parts)).max(1);
                let (head, tail) = payload.split_at(payload.len().min(size));
                let mut frames = vec![Frame::new(OpCode::Binary, false, head)];
                for part in tail.chunks(size) {
                    frames.extend(
                        between
                            .iter()
                            .flat_map(|(o, n)| Self::Control(*o, *n).frames()),
                    );
                    frames.push(Frame::new(OpCode::Continuation, false, part));
                }
                frames.last_mut().expect("there is one").fin = true;
                frames
            }
        }
    }
}

// ----- any of them -----

/// Any case. It shrinks towards less traffic, fewer layers and no delays.
pub(super) fn case() -> impl Strategy<Value = Case> {
    let ends = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        leaves(),
        any::<bool>(),
    );
    let says = (vec(unit(), 0..8), vec(unit(), 0..8));
    let handler = (steps(25), steps(25), vec(any::<bool>(), 0..25));
    let peer = (
        steps(25),
        steps(25),
        vec(step(), 0..4),
        vec(option::weighted(0.8, 0..60u8), 0..8),
    );
    (ends, says, handler, peer, vec(layer(), 1..=4)).prop_map(
        |(ends, says, handler, peer, layers)| Case {
            peer: if ends.0 { Role::Server } else { Role::Client },
            two_tasks: ends.1,
            h2: ends.2,
            leaves: ends.3,
            shared: ends.4,
            handler_sends: says.0,
            peer_sends: says.1,
            handler_writes: handler.0,
            handler_reads: handler.1,
            flushes: handler.2,
            peer_sends_by: peer.0,
            peer_takes: peer.1,
            flush_stalls: peer.2,
            answers: peer.3,
            layers,
        },
    )
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 0..most)
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![2 => Just(0), 3 => 0..40u8];
    let size = prop_oneof![4 => 0..16u16, 2 => 16..300u16, 1 => 300..20_000u16];
    (delay, size).prop_map(|(delay, size)| Step(delay, size))
}

fn unit() -> impl Strategy<Value = Unit> {
    let opcode = prop_oneof![Just(OpCode::Ping), Just(OpCode::Pong)];
    let size = prop_oneof![2 => Just(8), 2 => 0..20u8, 1 => 0..=125u8];
    let control = (opcode, size);
    let len = prop_oneof![
        4 => 0..40u32,
        2 => 120..130u32,
        2 => 40..2000u32,
        1 => 65_530..70_000u32,
    ];
    let parts = prop_oneof![2 => Just(1), 1 => 1..5u8];
    let message = (len, parts, option::of(control.clone()));
    prop_oneof![
        3 => message.prop_map(|(len, parts, between)| Unit::Message { len, parts, between }),
        2 => control.prop_map(|(opcode, len)| Unit::Control(opcode, len)),
    ]
}

fn leaves() -> impl Strategy<Value = Leaves> {
    prop_oneof![
        6 => Just(Leaves::Politely),
        1 => (0..250u8).prop_map(|at| Leaves::Dies { at }),
        1 => (0..2000u16).prop_map(|after| Leaves::Ends { after }),
        1 => (0..2000u16).prop_map(|after| Leaves::Breaks { after }),
    ]
}

fn layer() -> impl Strategy<Value = Layer> {
    let ms = || prop_oneof![3 => 0..100u16, 2 => 0..500u16];
    prop_oneof![
        5 => (1..60u16, 1..10u8, option::weighted(0.3, 1..100u16))
            .prop_map(|(every, times, patience)| Layer::Pings { every, times, patience }),
        2 => (ms(), any::<bool>(), any::<bool>())
            .prop_map(|(at, at_once, unread)| Layer::Ends { at, at_once, unread }),
        1 => (prop_oneof![0..130u32, 130..70_000u32], any::<bool>())
            .prop_map(|(bytes, at_once)| Layer::RefusesAbove { bytes, at_once }),
        2 => (ms(), ms()).prop_map(|(at, long)| Layer::Pauses { at, long }),
    ]
}
