//! The client over HTTP/1.1 against the echo, over each kind of socket.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{End, Frame, trace};

#[tokio::test]
async fn every_byte_of_a_conversation_is_seen_on_both_sides() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let target = Target::plain(upstream.addr());

    let handshake = Handshake::of("/chat?room=1")
        .field("X-Odd", "a")
        .field("x-odd", "b");
    let mut client = target.tunnel(handshake).await;
    for frame in [
        Frame::text("hello"),
        Frame::text(""),
        Frame::binary(vec![7; 126]),
        Frame::binary(vec![7; 0x1_0000]),
    ] {
        client.send(frame.clone()).await;
        assert_eq!(client.frame().await, frame);
    }
    client.send(Frame::ping("are you there")).await;
    assert_eq!(client.frame().await, Frame::pong("are you there"));
    client.close(1000, "bye").await;

    let seen = upstream.join_one().await;
    assert_eq!(seen.request().method, "GET");
    assert_eq!(seen.request().target, "/chat?room=1");
    assert_eq!(seen.request().version, "HTTP/1.1");
    assert_eq!(seen.request().fields.all("x-ODD"), ["a", "b"]);
    assert_eq!(seen.request().fields.iter().last(), Some(("x-odd", "b")));
    assert_eq!(
        seen.request().fields.get("host"),
        Some(target.authority().as_str())
    );
    assert!(seen.request().raw.ends_with(b"\r\nx-odd: b\r\n\r\n"));
    assert_eq!((seen.messages, seen.bytes), (4, 5 + 126 + 0x1_0000));
    assert_eq!(seen.close, Some((1000, "bye".to_owned())));
    assert_eq!(seen.error, None);
}

#[tokio::test]
async fn fragments_come_back_as_one_message() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let mut client = Target::plain(upstream.addr())
        .tunnel(Handshake::of("/"))
        .await;
    client.send(Frame::text("frag").unfinished()).await;
    client.send(Frame::ping("between")).await;
    client.send(Frame::continuation("ments")).await;
    assert_eq!(client.frame().await, Frame::pong("between"));
    assert_eq!(client.frame().await, Frame::text("fragments"));
    client.close(1000, "").await;
    upstream.join().await;
}

#[tokio::test]
async fn early_data_is_read_with_the_handshake() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let handshake = Handshake::of("/").early(&[Frame::text("one"), Frame::text("two")]);
    let mut client = Target::plain(upstream.addr()).tunnel(handshake).await;
    assert_eq!(client.frame().await, Frame::text("one"));
    assert_eq!(client.frame().await, Frame::text("two"));
    client.close(1000, "").await;
    assert_eq!(upstream.join_one().await.messages, 2);
}

#[tokio::test]
async fn a_byte_at_a_time_is_enough() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let mut client = Target::plain(upstream.addr())
        .tunnel(Handshake::of("/").bytewise())
        .await;
    client
        .send_bytewise(&Frame::text("slowly").masked([9, 8, 7, 6]).to_bytes())
        .await;
    assert_eq!(client.frame().await, Frame::text("slowly"));
    client.close(1000, "").await;
    upstream.join().await;
}

#[tokio::test]
async fn a_message_may_be_bigger_than_what_we_hold() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let client = Target::plain(upstream.addr())
        .tunnel(Handshake::of("/"))
        .await;
    let (io, _) = client.into_parts();
    let (mut reader, mut writer) = tokio::io::split(io);
    let (piece, pieces) = (vec![0; 1 << 16], 320);

    let send = async {
        // A key of zeros masks nothing, so that every piece is what it is.
        let frame = Frame::binary("").masked([0; 4]);
        writer
            .write_all(&frame.header_for(piece.len() * pieces))
            .await
            .unwrap();
        for _ in 0..pieces {
            writer.write_all(&piece).await.unwrap();
        }
    };
    let receive = async {
        let expected = Frame::binary("").header_for(piece.len() * pieces);
        let mut header = vec![0; expected.len()];
        reader.read_exact(&mut header).await.unwrap();
        assert_eq!(header, expected);
        let length = (piece.len() * pieces) as u64;
        let mut payload = reader.take(length);
        let received = tokio::io::copy(&mut payload, &mut tokio::io::sink())
            .await
            .unwrap();
        assert_eq!(received, length);
    };
    tokio::join!(send, receive);
    drop(writer);
    assert_eq!(upstream.join_one().await.messages, 1);
}

#[tokio::test]
async fn tls_trusts_the_test_ca_and_no_other() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Upstream::tls(ca.server(&["localhost"], &["http/1.1"]), script::echo()).await;

    let mut client = Target::tls(upstream.addr(), &ca)
        .tunnel(Handshake::of("/"))
        .await;
    client.send(Frame::text("secret")).await;
    assert_eq!(client.frame().await, Frame::text("secret"));
    client.close(1000, "").await;

    let stranger = Target::tls(upstream.addr(), &TestCa::new())
        .try_connect(&[])
        .await;
    assert!(stranger.unwrap_err().to_string().contains("UnknownIssuer"));
    let misnamed = Target::tls(upstream.addr(), &ca)
        .named("example.com")
        .try_connect(&[])
        .await;
    assert!(
        misnamed
            .unwrap_err()
            .to_string()
            .contains("not valid for name")
    );

    let seen = upstream.join().await;
    assert_eq!(seen[0].error, None);
    assert!(
        seen[1].error.as_ref().unwrap().contains("UnknownCA"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_server_may_ask_for_a_certificate() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let tls = ca.server_that_verifies(&["localhost"], &[]);
    let upstream = Upstream::tls(tls, script::echo()).await;
    // With TLS 1.3 a client learns only later that it was not let in.
    let _ = Target::tls(upstream.addr(), &ca).try_connect(&[]).await;
    let seen = upstream
        .until("a failure", |seen| {
            seen.iter().any(|seen| seen.error.is_some())
        })
        .await;
    assert!(
        seen[0].error.as_ref().unwrap().contains("no certificates"),
        "{seen:?}"
    );
    upstream.join().await;
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let _trace = trace::init();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("upstream.sock");
    let upstream = Upstream::unix(&path, script::echo());
    let socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    let (mut client, _) = tokio_tungstenite::client_async("ws://localhost/", socket)
        .await
        .unwrap();
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::text("hello")
    );
    client.close(None).await.unwrap();
    while client.next().await.is_some() {}
    assert_eq!(upstream.join_one().await.close, Some((1005, String::new())));
}

#[tokio::test]
async fn tungstenite_speaks_through_the_same_target() {
    let _trace = trace::init();
    let ca = TestCa::new();
    let upstream = Upstream::tls(ca.server(&["localhost"], &[]), script::echo()).await;
    let mut client = Target::tls(upstream.addr(), &ca).tungstenite("/here").await;
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(
        client.next().await.unwrap().unwrap(),
        Message::text("hello")
    );
    client.close(None).await.unwrap();
    while client.next().await.is_some() {}
    assert_eq!(upstream.join_one().await.request().target, "/here");
}

#[tokio::test]
async fn a_client_that_breaks_the_connection_is_an_error_upstream() {
    let _trace = trace::init();
    let upstream = Upstream::tcp(script::echo()).await;
    let mut client = Target::plain(upstream.addr())
        .tunnel(Handshake::of("/"))
        .await;
    client.send(Frame::text("hello")).await;
    client.frame().await;
    client.reset();
    assert!(upstream.join_one().await.error.unwrap().contains("reset"));
}

#[tokio::test]
async fn the_end_is_told_from_half_a_frame() {
    let _trace = trace::init();
    let half = |bytes: &'static [u8]| {
        script::script(move |mut connection| async move {
            let request = connection.request().await.unwrap();
            connection
                .write(wsgate_tests::upstream::switching(&request, ""))
                .await;
            connection.write(bytes).await;
            connection.shutdown().await;
            connection.drain().await;
        })
    };
    let upstream = Upstream::tcp(half(b"\x81\x05hel")).await;
    let mut client = Target::plain(upstream.addr())
        .tunnel(Handshake::of("/"))
        .await;
    assert!(matches!(client.end().await, End::Truncated));
    drop(client);
    upstream.join().await;

    let upstream = Upstream::tcp(half(b"")).await;
    let mut client = Target::plain(upstream.addr())
        .tunnel(Handshake::of("/"))
        .await;
    assert!(matches!(client.end().await, End::Eof));
    drop(client);
    upstream.join().await;
}
