//! The real program, at the level that tells most.

use std::fs;

use tokio::process::Command;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::{Handshake, Target};
use wsgate_tests::program::{self, Program};
use wsgate_tests::{Frame, trace};

use super::{PATIENCE, Upstreams, WORD, err_in_each_way, handshake, visit_each};

/// The program with these routes and options, and a client's way to it.
pub(super) struct Gateway {
    program: Program,
    pub(super) target: Target,
    pub(super) addr: std::net::SocketAddr,
    folder: tempfile::TempDir,
}

impl Gateway {
    pub(super) async fn start(routes: &[String], options: &[&str]) -> Self {
        let (ca, folder) = (TestCa::new(), tempfile::tempdir().unwrap());
        let (cert, key) = ca.leaf(&["localhost"]).write(folder.path(), "server");
        let mut command = Command::new(program::built("wsgate"));
        command
            .args(["--listen", "127.0.0.1:0", "--cert"])
            .arg(cert)
            .arg("--key")
            .arg(key)
            .args(routes.iter().flat_map(|route| ["--route", route]))
            .args(options)
            .env_remove("RUST_LOG");
        let mut program = Program::start(&mut command);
        let line = program.line().await;
        let port: u16 = line.rsplit_once(':').unwrap().1.parse().unwrap();
        let addr = ([127, 0, 0, 1], port).into();
        Self {
            target: Target::tls(addr, &ca),
            program,
            addr,
            folder,
        }
    }

    /// Asks it to end, and gives its log.
    pub(super) async fn log(mut self) -> String {
        let log = self.program.terminated().await;
        drop(self.folder);
        log
    }
}

#[tokio::test]
async fn no_secret_is_in_its_log() {
    let _trace = trace::init();
    for format in ["text", "json"] {
        let upstreams = Upstreams::start().await;
        let route = |(path, url, _): (String, String, u16)| format!("{path}={url}");
        let mut routes: Vec<_> = upstreams.each().map(route).collect();
        let url = |name: &str| {
            let mut each = upstreams.each();
            each.find(|(path, ..)| path == name).unwrap().1
        };
        routes.push("/gone=http://127.0.0.1:9".to_owned());
        // A group that tries all of them, and ejects.
        routes.push(format!(
            "/group=http://127.0.0.1:9,{},{},{}",
            url("/unavailable"),
            url("/resetting"),
            url("/echo")
        ));
        let files = tempfile::tempdir().unwrap();
        let endpoints = files.path().join("endpoints");
        fs::write(&endpoints, url("/echo")).unwrap();
        routes.push(format!("/file=file:{}", endpoints.display()));
        let patience = format!("{}ms", PATIENCE.as_millis());
        let options = [
            "--log-level",
            "trace",
            "--log",
            format,
            "--handshake-timeout",
            &patience,
            "--tries",
            "4",
            "--max-message-size",
            "1KiB",
            "--drain-timeout",
            "1s",
        ];
        let gateway = Gateway::start(&routes, &options).await;
        let target = &gateway.target;

        visit_each(target, &upstreams).await;
        for _ in 0..3 {
            let group = handshake(&format!("/group/{WORD}-path"));
            target.tunnel(group).await.close(1000, "").await;
        }
        let gone = target.h1().await.refused(&handshake("/gone")).await;
        assert_eq!(gone.response.status, 502);
        err_in_each_way(target, "/echo").await;
        let dots = handshake(&format!("/echo/../{WORD}-dots"));
        let refused = target.h1().await.refused(&dots).await;
        assert_eq!(refused.response.status, 400);
        // Without TLS, on the port that wants it.
        let plain = Target::plain(gateway.addr);
        let redirected = plain.h1().await.refused(&handshake("/echo")).await;
        assert_eq!(redirected.response.status, 308);
        // A file of endpoints that goes wrong, with a password where none can be.
        fs::write(&endpoints, format!("http://user:{WORD}-password@a/?{WORD}")).unwrap();
        gateway.program.says("`http://***@a/?***`").await;

        // Frames that are against the rules, or too long.
        for bytes in [
            format!("\u{3}{WORD}-reserved").into_bytes(),
            Frame::text(WORD.repeat(1000))
                .masked([1, 2, 3, 4])
                .to_bytes(),
        ] {
            let mut tunnel = target.tunnel(handshake("/echo")).await;
            tunnel.send_raw(&bytes).await;
            tunnel.reset();
        }
        // One is open when the program has to end.
        let mut open = target.tunnel(handshake("/echo")).await;
        let mut h2 = target.h2().await;
        let mut also = h2.tunnel(Handshake::of("/echo")).await;
        open.send(Frame::text(format!("{WORD}-late"))).await;
        open.frame().await;
        let draining = async {
            // Each gets a Close, and answers none of it.
            for tunnel in [&mut open, &mut also] {
                assert!(tunnel.frame().await.close_parts().is_some());
                tunnel.end().await;
            }
        };
        let (log, ()) = tokio::join!(gateway.log(), draining);

        for expected in [
            "tunnel closed",
            "broke off the handshake",
            "did not answer the handshake within",
            "which was not offered",
            "trying the next",
            "refused the connection",
            "may not open a WebSocket",
            "draining",
            "redirected to https",
        ] {
            assert!(log.contains(expected), "no {expected}: {log}");
        }
        assert!(!log.to_lowercase().contains(WORD), "{log}");
        // What the libraries below would tell.
        for target in ["hyper", "h2", "rustls", "axum", "tower"] {
            for level in ["DEBUG", "TRACE"] {
                let line = log.lines().find(|line| {
                    line.contains(level) && line.contains(&format!(" {target}::"))
                        || line.contains(&format!("\"{target}::")) && line.contains(level)
                });
                assert_eq!(line, None);
            }
        }
        upstreams.join().await;
    }
}
