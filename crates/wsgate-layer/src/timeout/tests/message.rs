use super::*;
struct Rig {
    io: MessageTimeoutIo<Scripted>,
    peer: Peer,
    tunnel: Tunnel,
}

impl Rig {
    fn new(role: Role, layer: MessageTimeoutLayer) -> Self {
        let (stream, peer) = scripted();
        let upgrade = upgrade();
        Self {
            io: MessageTimeoutIo::new(stream, role, &layer, &upgrade),
            peer,
            tunnel: upgrade.tunnel,
        }
    }

    /// Has so many bytes come at each of the steps; gives the second of the end, if one comes.
    async fn dribble(&mut self, bytes: &[u8], size: usize, step: u64) -> Option<u64> {
        for (count, piece) in (0..).zip(bytes.chunks(size)) {
            self.peer.sends(piece);
            for second in 0..step {
                hears(&mut self.io, secs(1)).await;
                if self.tunnel.end().is_some() {
                    return Some(count * step + second + 1);
                }
            }
        }
        None
    }

    #[track_caller]
    fn ended_by(&self, cause: Cause) {
        assert_eq!(self.tunnel.end().expect("an end").cause, cause);
    }
}

fn frames() -> MessageTimeoutLayer {
    MessageTimeoutLayer::of_frames(secs(60))
}

fn messages() -> MessageTimeoutLayer {
    MessageTimeoutLayer::new(secs(60))
}

#[track_caller]
fn in_time(second: Option<u64>) {
    let second = second.expect("an end");
    assert!((60..=91).contains(&second), "{second}");
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_dribbles_is_ended() {
    for role in BOTH {
        for layer in [frames(), messages()] {
            let mut rig = Rig::new(role, layer);
            // Long after it has opened.
            hears(&mut rig.io, secs(3600)).await;
            let text = frame(role, 0x82, "x".repeat(100));
            // Its header is whole at the first look.
            in_time(rig.dribble(&text, 3, 5).await);
            let (code, reason) = close_from(other(role), &rig.peer.got());
            assert_eq!(code, CloseCode::POLICY_VIOLATION);
            assert!(reason.ends_with(" timeout"), "{reason}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_begun_and_left_is_ended() {
    let mut rig = Rig::new(Role::Client, frames());
    // Not even its header is whole.
    in_time(rig.dribble(b"\x82", 1, 100).await);
    rig.ended_by(Cause::FrameTimeout);
}

#[tokio::test(start_paused = true)]
async fn what_is_slow_but_goes_on_is_not() {
    let mut rig = Rig::new(Role::Client, frames());
    let text = [&b"\x82\xfe\xea\x60\0\0\0\0"[..], &[7; 60_000]].concat();
    assert_eq!(rig.dribble(&text, 240, 1).await, None);
    let mut rig = Rig::new(Role::Client, frames().min_rate(4096));
    assert!(rig.dribble(&text, 240, 1).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_came_at_once_is_no_credit() {
    let mut rig = Rig::new(Role::Client, messages());
    let part = [&b"\x02\xfe\xea\x60\0\0\0\0"[..], &[7; 60_000]].concat();
    // Over some seconds, and then nothing but pings.
    assert_eq!(rig.dribble(&part, 3000, 1).await, None);
    let pings = frame(Role::Client, 0x89, "alive").repeat(100);
    in_time(rig.dribble(&pings, 11, 5).await);
}

#[tokio::test(start_paused = true)]
async fn many_small_frames_are_as_many_frames() {
    let mut rig = Rig::new(Role::Client, frames());
    let text = frame(Role::Client, 0x81, "hi");
    // Cut so that there is always one under way.
    let stream = text.repeat(100);
    assert_eq!(rig.dribble(&stream[..stream.len() - 3], 8, 15).await, None);
}

#[tokio::test(start_paused = true)]
async fn between_two_fragments_only_a_message_has_a_time() {
    let first = frame(Role::Client, 0x01, "first");
    let mut rig = Rig::new(Role::Client, frames());
    assert_eq!(rig.dribble(&first, 100, 3600).await, None);

    let mut rig = Rig::new(Role::Client, messages());
    // Pings are no progress.
    let pings = [first, frame(Role::Client, 0x89, "alive").repeat(100)].concat();
    in_time(rig.dribble(&pings, 11, 5).await);
    rig.ended_by(Cause::MessageTimeout);
}

#[tokio::test(start_paused = true)]
async fn no_time_passes_while_the_handler_does_not_read() {
    let mut rig = Rig::new(Role::Client, frames());
    let text = frame(Role::Client, 0x82, "x".repeat(100));
    for part in text.chunks(10).take(8) {
        rig.peer.sends(part);
        tokio::time::sleep(secs(3600)).await;
        assert_eq!(hears(&mut rig.io, secs(5)).await, part);
    }
    assert_eq!(rig.tunnel.end(), None);
}

/// Beside a layer with a timer of its own, which is set for later.
#[tokio::test(start_paused = true)]
async fn what_is_begun_brings_the_deadline_nearer() {
    let (mut io, peer, tunnel) = beside_an_hour(Box::new(frames().policy()));
    assert_eq!(hears(&mut io, secs(5)).await, b"");
    peer.sends(b"\x82");
    hears(&mut io, secs(91)).await;
    assert_eq!(tunnel.end().unwrap().cause, Cause::FrameTimeout);
}
