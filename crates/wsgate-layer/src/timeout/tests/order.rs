//! The drawings of the module: a timeout outside of the keepalive, and inside.

use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::{
    KeepaliveLayer,
    guard::tests::Peer,
    keepalive::{
        KeepaliveIo,
        tests::{pings, pong},
    },
    map_upgrade::Upgrade,
    tunnel::Tunnel,
};

fn keepalive<S>(stream: S, role: Role, upgrade: &Upgrade) -> KeepaliveIo<S> {
    let layer = KeepaliveLayer::every(secs(25));
    KeepaliveIo::new(stream, role, &layer, upgrade)
}

fn read_timeout<S>(stream: S, role: Role, upgrade: &Upgrade) -> ReadTimeoutIo<S> {
    ReadTimeoutIo::new(stream, role, &ReadTimeoutLayer::default(), upgrade)
}

/// A handler whose stream is wrapped, outermost first.
struct Rig<I> {
    io: I,
    peer: Peer,
    role: Role,
    tunnel: Tunnel,
}

fn pongs_count(role: Role) -> Rig<impl AsyncRead + AsyncWrite + Unpin> {
    let (stream, peer) = scripted();
    let upgrade = upgrade();
    let outer = read_timeout(stream, role, &upgrade);
    Rig {
        io: keepalive(outer, role, &upgrade),
        peer,
        role,
        tunnel: upgrade.tunnel,
    }
}

fn pongs_do_not_count(role: Role) -> Rig<impl AsyncRead + AsyncWrite + Unpin> {
    let (stream, peer) = scripted();
    let upgrade = upgrade();
    let outer = keepalive(stream, role, &upgrade);
    Rig {
        io: read_timeout(outer, role, &upgrade),
        peer,
        role,
        tunnel: upgrade.tunnel,
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Rig<I> {
    /// The peer answers each ping within a second and says nothing else, for so long. Gives what else
    /// it got.
    async fn answers(&mut self, seconds: u64) -> Vec<u8> {
        let mut others = Vec::new();
        for _ in 0..seconds {
            assert_eq!(hears(&mut self.io, secs(1)).await, b"");
            let got = self.peer.got();
            let payloads = pings(&got, self.role);
            for payload in &payloads {
                self.peer.sends(&pong(self.role, payload));
            }
            if payloads.is_empty() {
                others.extend(got);
            }
        }
        others
    }

    fn cause(&self) -> Option<Cause> {
        self.tunnel.end().map(|end| end.cause)
    }
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_keepalive_a_quiet_peer_stays() {
    for role in BOTH {
        let mut rig = pongs_count(role);
        assert_eq!(rig.answers(600).await, b"");
        assert_eq!(rig.cause(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_keepalive_a_dead_peer_goes() {
    for role in BOTH {
        let mut rig = pongs_count(role);
        rig.answers(100).await;
        let heard = hears_end(&mut rig.io, secs(46)).await;
        assert_eq!(close_from(role, &heard).1, "pong timeout");
        assert_eq!(rig.cause(), Some(Cause::PongTimeout));
        assert!(rig.peer.is_cut());
    }
}

#[tokio::test(start_paused = true)]
async fn inside_of_the_keepalive_a_quiet_peer_goes() {
    for role in BOTH {
        let mut rig = pongs_do_not_count(role);
        let got = rig.answers(62).await;
        assert_eq!(close_from(other(role), &got).1, "read timeout");
        assert_eq!(rig.cause(), Some(Cause::ReadTimeout));
        let answer = frame(role, 0x88, "");
        rig.peer.sends(&answer);
        assert_eq!(hears_end(&mut rig.io, secs(1)).await, answer);
    }
}

#[tokio::test(start_paused = true)]
async fn inside_of_the_keepalive_a_peer_that_says_something_stays() {
    for role in BOTH {
        let mut rig = pongs_do_not_count(role);
        // A pong of its own accord will do: it has not been asked for one.
        for hello in [frame(role, 0x81, "hello"), pong(role, b"8 bytes.")] {
            rig.answers(50).await;
            rig.peer.sends(&hello);
            assert_eq!(hears(&mut rig.io, secs(1)).await, hello);
        }
        rig.answers(50).await;
        assert_eq!(rig.cause(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn inside_of_the_keepalive_a_dead_peer_goes_as_well() {
    for role in BOTH {
        let mut rig = pongs_do_not_count(role);
        let heard = hears_end(&mut rig.io, secs(46)).await;
        assert_eq!(close_from(role, &heard).1, "pong timeout");
        assert_eq!(rig.cause(), Some(Cause::PongTimeout));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_only_takes_stays() {
    // A download for minutes: the handler always has to wait, and the peer has nothing to say but its
    // pongs.
    for role in BOTH {
        let Rig {
            io, peer, tunnel, ..
        } = pongs_count(role);
        let (mut reader, mut writer) = tokio::io::split(io);
        peer.takes(0);
        let text = frame_to(role, 0x81, "x".repeat(100));
        let flood = tokio::spawn(async move { while writer.write_all(&text).await.is_ok() {} });
        let mut got = Vec::new();
        let mut answered = 0;
        for _ in 0..300 {
            assert_eq!(hears(&mut reader, secs(1)).await, b"");
            peer.takes(50);
            tokio::task::yield_now().await;
            got.extend(peer.got());
            for payload in pings(&got, role).iter().skip(answered) {
                peer.sends(&pong(role, payload));
                answered += 1;
            }
        }
        assert_eq!(tunnel.end(), None);
        assert!(answered >= 300 / 25 - 1, "{answered} pings");
        flood.abort();
    }
}
