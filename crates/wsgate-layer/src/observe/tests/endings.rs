//! Who ended a WebSocket, and how: the policy alone, and the stream below it.

use std::io;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsgate_frame::{CloseCode, Role, Tracker};

use super::{
    super::{policy::ObservePolicy, *},
    harness::*,
};
use crate::{
    guard::{Place, Policy},
    handshake::Kind,
    moment::Moment,
    tunnel::{Cause, End, Tunnel},
    upgrade::UpgradedIo,
};

/// A WebSocket whose two ends are scripted.
struct Play {
    policy: ObservePolicy,
    incoming: Tracker,
    outgoing: Tracker,
    tunnel: Tunnel,
}

// ===== impl Play =====

impl Play {
    fn client(&mut self, bytes: &[u8]) {
        let now = Moment::now();
        self.incoming
            .feed(bytes, |e| self.policy.on_incoming(&e, now, &self.tunnel));
    }

    fn server(&mut self, bytes: &[u8]) {
        self.outgoing
            .feed(bytes, |e| self.policy.on_outgoing(&e, &self.tunnel));
    }

    fn layer(&self, cause: Cause, code: CloseCode) {
        let peer = Role::Client;
        self.tunnel.set_end(End { cause, code, peer });
    }
}

#[track_caller]
fn check(script: impl FnOnce(&mut Play), expected: &str) {
    let diary = Diary::default();
    let ObserveLayer { settings } = ObserveLayer::new(diary.clone());
    let mut req = request();
    let unsettled = record::Unsettled::new(&settings, Kind::Upgrade, &mut req);
    let status = StatusCode::SWITCHING_PROTOCOLS;
    let record = unsettled.opened(status);
    let mut play = Play {
        policy: ObservePolicy::new(record, status),
        incoming: Tracker::new(Role::Client),
        outgoing: Tracker::new(Role::Server),
        tunnel: Tunnel::of(req.extensions_mut()),
    };
    script(&mut play);
    play.policy.on_drop(Place {
        incoming: &play.incoming,
        outgoing: &play.outgoing,
        blocked: false,
        reads: true,
        tunnel: &play.tunnel,
    });
    let told = diary.read().pop().unwrap();
    let (told, _) = told.split_once(" after").unwrap();
    assert_eq!(told, format!("closed by {expected}"));
}

#[test]
fn the_first_close_tells_who_ended_it() {
    check(|p| p.client(CLIENT_CLOSE), "client: close 1000");
    check(|p| p.server(SERVER_CLOSE), "server: close 1000");
    check(
        |p| {
            p.server(b"\x88\x02\x0f\xa1");
            p.client(CLIENT_CLOSE);
        },
        "server: close 4001",
    );
    check(|p| p.client(b"\x88\x80\0\0\0\0"), "client: close 1005");
    // What the client says that it must not say is told as it is.
    check(
        |p| p.client(b"\x88\x82\0\0\0\0\x03\xee"),
        "client: close 1006",
    );
}

#[test]
fn what_comes_after_a_close_changes_nothing() {
    check(
        |p| {
            p.client(CLIENT_CLOSE);
            p.layer(Cause::ReadTimeout, CloseCode::GOING_AWAY);
            p.policy.on_end(None);
        },
        "client: close 1000",
    );
}

#[test]
fn an_end_without_a_close_is_told_from_one_with() {
    check(|p| p.policy.on_end(None), "client: eof 1006");
    let reset = io::ErrorKind::ConnectionReset.into();
    check(|p| p.policy.on_end(Some(&reset)), "client: lost 1006");
    check(|_| {}, "server: dropped 1006");
    // The connection ends because the handler has ended its side.
    check(
        |p| {
            p.policy.on_shutdown();
            p.policy.on_end(None);
        },
        "server: dropped 1006",
    );
    // A Close that is cut off is none.
    check(
        |p| {
            p.client(&CLIENT_CLOSE[..8]);
            p.policy.on_end(None);
        },
        "client: eof 1006",
    );
}

#[test]
fn a_layer_is_told_from_its_peers() {
    check(
        |p| p.layer(Cause::PongTimeout, CloseCode::INTERNAL_ERROR),
        "gateway: pong timeout 1011",
    );
    // A layer further in sends its Close past here; one further out has the handler read one.
    check(
        |p| {
            p.layer(Cause::Drain, CloseCode::SERVICE_RESTART);
            p.server(b"\x88\x02\x03\xf4");
            p.client(b"\x88\x82\0\0\0\0\x03\xf4");
        },
        "gateway: drain 1012",
    );
    check(
        |p| {
            p.layer(Cause::ReadTimeout, CloseCode::GOING_AWAY);
            p.client(b"\x88\x82\0\0\0\0\x03\xe9");
            p.policy.on_end(None);
        },
        "gateway: read timeout 1001",
    );
}

// ===== the stream =====

/// Runs a handler on a scripted connection, and gives the last that was told.
async fn told_of<F>(io: tokio_test::io::Mock, handler: impl FnOnce(UpgradedIo) -> F) -> String
where
    F: Future,
{
    let diary = Diary::default();
    let layer = ObserveLayer::new(diary.clone());
    let (_, stream) = open_on(&layer, request(), io).await;
    handler(stream).await;
    diary.read().pop().unwrap()
}

#[tokio::test]
async fn the_end_of_the_connection_is_noted() {
    let io = tokio_test::io::Builder::new().read(CLIENT_HELLO).build();
    let told = told_of(io, async |mut stream| {
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    assert!(told.await.starts_with("closed by client: eof 1006"));

    let io = tokio_test::io::Builder::new()
        .read_error(io::ErrorKind::ConnectionReset.into())
        .build();
    let told = told_of(io, async |mut stream| {
        stream.read_u8().await.unwrap_err();
    });
    assert!(told.await.starts_with("closed by client: lost 1006"));

    let io = tokio_test::io::Builder::new()
        .write_error(io::ErrorKind::BrokenPipe.into())
        .build();
    let told = told_of(io, async |mut stream| {
        stream.write_all(SERVER_HELLO).await.unwrap_err();
    });
    assert!(told.await.starts_with("closed by client: lost 1006"));

    let io = tokio_test::io::Builder::new().build();
    let told = told_of(io, async |mut stream| {
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
    assert!(told.await.starts_with("closed by server: dropped 1006"));
}

#[tokio::test]
async fn a_look_without_room_is_not_the_end() {
    let io = tokio_test::io::Builder::new().build();
    let told = told_of(io, async |mut stream| {
        assert_eq!(stream.read(&mut []).await.unwrap(), 0);
    });
    assert!(told.await.starts_with("closed by server: dropped 1006"));
}
