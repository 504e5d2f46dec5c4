//! The law of a stack of layers: whatever passes and whatever they do, taking their frames out of
//! what arrived gives what was sent.

mod case;
mod handler;
mod law;
mod peer;
mod stack;

use std::{sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tokio::{runtime, time::timeout};
use wsgate_frame::{OpCode, Role};

use self::{
    case::{Case, Layer, Leaves, Step, Unit},
    law::Arrived,
};

/// Plays the case that these bytes, of which 32 count, are the seed of.
pub(crate) fn hold_for(bytes: &[u8]) {
    // Not the numbers themselves: half of what is left goes to each choice among strategies, and those that
    // draw from nothing never end.
    let mut seed = [0; 32];
    seed.iter_mut()
        .zip(bytes)
        .for_each(|(seed, byte)| *seed = *byte);
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), chance);
    if let Ok(case) = case::case().new_tree(&mut runner) {
        check(&case.current());
    }
}

#[test]
fn what_fuzzing_came_upon() {
    wsgate_seeds::replay("guard", hold_for);
}

proptest! {
    #[test]
    fn taking_our_frames_out_gives_what_was_sent(case in case::case()) {
        check(&case);
    }
}

/// Lets a handler and a peer talk through a stack of layers, and holds what came of it to the law.
///
/// Time is paused, and both ends are tasks like any other: a wake-up that is lost stalls them.
///
/// Gives what arrived at the peer, and at the handler.
#[track_caller]
fn check(case: &Case) -> (Arrived, Arrived) {
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let (stream, wire, tunnel) = stack::build(case);
        let wire = Arc::new(wire);
        let peer = tokio::spawn(peer::run(case.clone(), Arc::clone(&wire)));
        let heard = timeout(TOO_LONG, handler::run(case, stream)).await;
        let heard = heard.unwrap_or_else(|_| panic!("it stalls: {}", peer::state(&wire)));
        // The handler has let go, so the peer comes to its end as well.
        let said = timeout(TOO_LONG, peer).await.expect("the peer stalls");
        law::hold(case, &heard, &said.unwrap(), &tunnel)
    })
}

/// More than all pauses and delays of a case together.
const TOO_LONG: Duration = Duration::from_secs(120);

/// What is small enough to be read, to see the law hold without chance.
#[test]
fn a_conversation_through_four_layers() {
    let text = |len, parts| Unit::Message {
        len,
        parts,
        between: Some((OpCode::Ping, 4)),
    };
    for (two_tasks, shared) in [(false, false), (true, false), (false, true), (true, true)] {
        for peer in [Role::Client, Role::Server] {
            let case = Case {
                peer,
                two_tasks,
                h2: true,
                shared,
                handler_sends: vec![text(5, 1), text(70_000, 3), Unit::Control(OpCode::Pong, 8)],
                peer_sends: vec![
                    text(300, 2),
                    Unit::Control(OpCode::Pong, 8),
                    text(20_000, 1),
                ],
                handler_writes: vec![Step(2, 3), Step(7, 20), Step(0, 40_000), Step(30, 9)],
                handler_reads: vec![Step(0, 1), Step(3, 10), Step(0, 2)],
                flushes: vec![true, false],
                peer_sends_by: vec![Step(10, 1), Step(10, 13), Step(9, 500)],
                peer_takes: vec![Step(0, 5), Step(12, 0), Step(12, 40_000), Step(20, 7)],
                flush_stalls: vec![Step(5, 10)],
                answers: vec![Some(0), Some(25), None],
                leaves: Leaves::Politely,
                layers: vec![
                    pings(3),
                    Layer::Pauses { at: 5, long: 20 },
                    pings(7),
                    Layer::RefusesAbove {
                        bytes: 1 << 20,
                        at_once: false,
                    },
                ],
            };
            let (there, here) = check(&case);
            assert!(there.pings > 4 && !there.told && !here.told, "{there:?}");

            let mut ends = case.clone();
            ends.layers.push(Layer::Ends {
                at: 30,
                at_once: false,
                unread: true,
            });
            let (there, here) = check(&ends);
            assert!(
                there.pings > 0 && there.told && here.rest.len() > 300,
                "{there:?}"
            );
        }
    }
}

fn pings(every: u16) -> Layer {
    Layer::Pings {
        every,
        times: 20,
        patience: None,
    }
}
