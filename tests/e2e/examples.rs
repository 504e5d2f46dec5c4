//! The small examples, run as their readers run them.

use std::net::SocketAddr;

use tokio::process::Command;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::program::{Program, built};
use wsgate_tests::{Frame, fixed_port, trace};

/// Five lines give a plain axum app what it lacked.
#[tokio::test]
async fn layers_on_axum() {
    let _trace = trace::init();
    let address = SocketAddr::from(([127, 0, 0, 1], fixed_port()));
    for interrupt in [false, true] {
        let mut command = Command::new(built("example-layers-on-axum"));
        command.arg(format!("{address}")).env("NO_COLOR", "1");
        let mut example = Program::start(&mut command);
        while !example.line().await.contains("listening on") {}
        let target = Target::plain(address);

        let mut client = target.tunnel(Handshake::of("/websocket")).await;
        client.send(Frame::text("hello")).await;
        assert_eq!(client.frame().await, Frame::text("hello"));

        let stranger = Handshake::of("/websocket").field("origin", "http://elsewhere.example");
        assert_eq!(target.refused(stranger).await.response.status, 403);

        let mut babbler = target.tunnel(Handshake::of("/websocket")).await;
        babbler.send(Frame::text("x".repeat(64 * 1024 + 1))).await;
        assert_eq!(
            babbler.frame().await.close_parts(),
            Some((1009, "message too big".into()))
        );
        drop(babbler);

        let stopped = tokio::spawn(async move {
            match interrupt {
                true => example.interrupt().await,
                false => example.terminate().await,
            }
        });
        let told = client.frame().await;
        assert_eq!(
            told.close_parts(),
            Some((1001, "server shutting down".into()))
        );
        client.send(told).await;
        stopped.await.unwrap();
    }
}

/// Those of a room meet at one upstream, and the log tells where the tunnels are.
#[tokio::test]
async fn load_balance() {
    let _trace = trace::init();
    let address = SocketAddr::from(([127, 0, 0, 1], fixed_port()));
    let mut command = Command::new(built("example-load-balance"));
    command.arg(format!("{address}")).env("NO_COLOR", "1");
    let mut example = Program::start(&mut command);
    while !example.line().await.contains("listening on") {}
    let target = Target::plain(address);

    let mut clients = Vec::new();
    // The letters are 97, 98 and 99.
    for (room, upstream) in [
        ("b", "third"),
        ("a", "second"),
        ("c", "first"),
        ("b", "third"),
    ] {
        let mut client = target
            .tunnel(Handshake::of(&format!("/rooms/{room}")))
            .await;
        let greeting = Frame::text(format!("this is the {upstream} upstream"));
        assert_eq!(client.frame().await, greeting);
        client.send(Frame::text("hello")).await;
        assert_eq!(client.frame().await, Frame::text("hello"));
        clients.push(client);
    }
    while !example.line().await.contains("live tunnels: [1, 1, 2]") {}
    drop(clients);
    while !example.line().await.contains("live tunnels: [0, 0, 0]") {}
}
