//! Peers that want to write into the log themselves.

use wsgate_tests::client::Handshake;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, trace};

use super::program::Gateway;

/// A line of its own, in red, that says something else.
const FORGED: &str =
    "bye\r\n2026-01-01T00:00:00.000000Z ERROR wsgate: \u{1b}[31mforged\u{7}\u{9b}2J";

#[tokio::test]
async fn what_peers_say_stays_in_its_place() {
    let _trace = trace::init();
    for format in ["text", "json"] {
        let upstream = Upstream::tcp(script::echo()).await;
        let routes = [format!("/a=http://{}", upstream.addr())];
        let options = ["--log-level", "trace", "--log", format];
        let gateway = Gateway::start(&routes, &options).await;
        let target = &gateway.target;

        // Both directions of a tunnel, as the echo answers with the same reason.
        let mut tunnel = target.tunnel(Handshake::of("/a")).await;
        tunnel.send(Frame::close(4000, FORGED)).await;
        tunnel.frame().await;
        tunnel.end().await;
        // Where a field may have what is no ASCII.
        for (name, value, status) in [
            ("Origin", "https://\u{9b}31mevil.test\t", 403),
            ("Host", "\u{9b}31mlocalhost", 400),
            ("X-Forwarded-For", "1.2.3.4\u{9b}31m", 101),
        ] {
            let handshake = Handshake::of("/a").field(name, value);
            let answer = target.open(handshake).await;
            let answered = match answer {
                Ok(opened) => {
                    opened.tunnel.close(1000, "").await;
                    101
                }
                Err(refused) => refused.response.status,
            };
            assert_eq!(answered, status, "{name}");
        }

        let log = gateway.log().await;
        assert!(log.contains("forged"), "{log}");
        for line in log.lines() {
            let starts = match format {
                "json" => "{\"timestamp\":\"20",
                _ => "20",
            };
            assert!(line.starts_with(starts), "{line:?}");
            let level = line.contains("ERROR") && line.contains("tunnel closed");
            assert!(level || !line.contains("ERROR"), "{line:?}");
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
        }
        upstream.join().await;
    }
}
