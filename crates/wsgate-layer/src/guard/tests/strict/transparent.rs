//! Frames that break a rule, where nobody is held to the rules.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::advance;
use wsgate_frame::{OpCode, Role, Violation};

use super::{
    super::{
        frames::{BOTH, frames, other, ping, text},
        handler::{After, guarded},
        planned::{OURS, Planned, politely},
    },
    cases::{cases, raw},
};

/// Between frames that break rules, too, there is room for ours, as long as it is known where.
#[tokio::test(start_paused = true)]
async fn where_nobody_is_strict_wrong_frames_pass_and_ours_stand_between_them() {
    for peer in BOTH {
        for case in cases(peer) {
            let all = [&case.before[..], &case.wrong, &text("and on").by(peer)].concat();
            for cut in [1, 3, all.len()] {
                let policy = <Planned>::default().expects(OURS);
                let (mut task, wire) = guarded(peer, policy);
                all.chunks(cut).for_each(|chunk| wire.sends(chunk));
                let read = task.read_all();
                assert_eq!(read, (all.clone(), After::Pending), "{:?}", case.violation);
            }
        }
    }
    for peer in BOTH {
        let handler = other(peer);
        for case in cases(handler) {
            let (mut task, wire) = guarded(peer, <Planned>::default().pings_at(10));
            let (head, tail) = case.wrong.split_at(1);
            let before = [&case.before[..], head].concat();
            task.write_all(&before);
            task.waits();
            advance(Duration::from_secs(10)).await;
            task.waits();
            assert_eq!(wire.got(), before, "nothing within a frame");

            let more = text("and on").by(handler);
            task.write_all(&[tail, &more].concat());
            let got = wire.got();
            assert!(got.starts_with(tail) && got.ends_with(&more));
            let ours = frames(handler, &got[tail.len()..got.len() - more.len()]);
            let is_close = OpCode::from_bits(head[0]) == OpCode::Close;
            let is_lost = case.violation == Violation::LengthOverflow;
            let expected = if is_close || is_lost {
                vec![]
            } else {
                vec![ping(&OURS)]
            };
            assert_eq!(ours, expected, "{:?}", case.violation);
        }
    }
}

/// The Close of a layer cannot be told to whom has lost the place, and the end comes all the same.
#[tokio::test(start_paused = true)]
async fn where_the_place_is_lost_nothing_is_sent_and_the_end_is_a_cut() {
    for peer in BOTH {
        let policy = <Planned>::default().pings_at(1).ends_at(2, politely());
        let (mut task, wire) = guarded(peer, policy);
        wire.sends(&lost(peer));
        task.write_all(&lost(other(peer)));
        assert_eq!(task.read_all(), (lost(peer), After::Pending));
        advance(Duration::from_secs(2)).await;
        task.waits();
        task.write_all(b"and what is this");
        assert_eq!(
            wire.got(),
            [lost(other(peer)), b"and what is this".to_vec()].concat()
        );
        advance(Duration::from_secs(5)).await;
        assert_eq!(task.read_all(), (vec![], After::Eof));
        assert!(wire.is_cut());
        assert_eq!(wire.got(), b"");
    }
}

/// Whoever is told by nobody else has it from the log, once for each side.
#[tokio::test(start_paused = true)]
async fn that_the_place_is_lost_is_said_once_for_each_side() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    for peer in BOTH {
        let (mut task, wire) = guarded(peer, <Planned>::default());
        for _ in 0..3 {
            wire.sends(&lost(peer));
            task.read_all();
        }
        assert_eq!(log.take_sides(), [peer]);
        for _ in 0..3 {
            task.write_all(&lost(other(peer)));
        }
        assert_eq!(log.take_sides(), [other(peer)]);
    }
}

/// A length that is no number of bytes, and something after it.
fn lost(from: Role) -> Vec<u8> {
    raw(
        from,
        0x82,
        &[127, 0x80, 0, 0, 0, 0, 0, 0, 0],
        b"what is this",
    )
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Of which sides it was said since the last time.
    fn take_sides(&self) -> Vec<Role> {
        let text = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().filter(|line| line.contains("63 bits"));
        let side = |line: &str| match line.contains("side=\"client\"") {
            true => Role::Client,
            false => Role::Server,
        };
        lines.map(side).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
