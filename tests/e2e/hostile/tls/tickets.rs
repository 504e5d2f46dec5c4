//! Session tickets of the real program, over hours that pass for it alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use wsgate_tests::certs::TestCa;
use wsgate_tests::program::{self, Program};
use wsgate_tests::within;

use super::s_client;

/// A gateway whose wall clock a file sets.
struct Clocked {
    ca: TestCa,
    folder: tempfile::TempDir,
    program: Program,
    addr: std::net::SocketAddr,
}

impl Clocked {
    async fn start() -> Self {
        let ca = TestCa::new();
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = ca.leaf(&["localhost"]).write(folder.path(), "server");
        let clock = folder.path().join("clock");
        set(&clock, 0);
        let mut command = Command::new(program::built("wsgate"));
        command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--route",
                "/a=http://127.0.0.1:9",
            ])
            .arg("--cert")
            .arg(chain)
            .arg("--key")
            .arg(key)
            .env("LD_PRELOAD", libfaketime())
            .env("FAKETIME_TIMESTAMP_FILE", clock)
            .env("FAKETIME_NO_CACHE", "1")
            // Timers go by that one.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let mut program = Program::start(&mut command);
        let line = program.line().await;
        let port = line.rsplit_once(':').unwrap().1.parse().unwrap();
        Self {
            ca,
            folder,
            program,
            addr: ([127, 0, 0, 1], port).into(),
        }
    }

    /// Lets its clock be so many seconds ahead.
    fn pass(&self, seconds: u32) {
        set(&self.folder.path().join("clock"), seconds);
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut client = (*self.ca.client(&["http/1.1"])).clone();
        client.resumption = Resumption::in_memory_sessions(8);
        Arc::new(client)
    }

    async fn visit(&self, client: &Arc<ClientConfig>) -> HandshakeKind {
        within("a visit", async {
            let stream = TcpStream::connect(self.addr).await.unwrap();
            let name = "localhost".try_into().unwrap();
            let connector = TlsConnector::from(Arc::clone(client));
            let mut stream = connector.connect(name, stream).await.unwrap();
            let kind = stream.get_ref().1.handshake_kind().unwrap();
            // The tickets come with it.
            let head = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.read_to_end(&mut Vec::new()).await.unwrap();
            kind
        })
        .await
    }
}

/// Keys are changed every 6 hours, and one is kept for 6 more.
#[tokio::test]
async fn a_ticket_is_good_for_hours_and_not_for_a_day() {
    let gateway = Clocked::start().await;
    let [often, after_one, after_two] = [gateway.client(), gateway.client(), gateway.client()];
    for client in [&often, &after_one, &after_two] {
        assert_eq!(gateway.visit(client).await, HandshakeKind::Full);
    }
    gateway.pass(SIX_HOURS - 60);
    assert_eq!(gateway.visit(&often).await, HandshakeKind::Resumed);

    // New tickets are of a new key, and those of the old one are still good.
    gateway.pass(SIX_HOURS + 60);
    assert_eq!(gateway.visit(&after_one).await, HandshakeKind::Resumed);
    assert_eq!(gateway.visit(&often).await, HandshakeKind::Resumed);

    gateway.pass(2 * SIX_HOURS + 120);
    assert_eq!(gateway.visit(&after_two).await, HandshakeKind::Full);
    assert_eq!(gateway.visit(&often).await, HandshakeKind::Resumed);
    gateway.program.terminate().await;
}

#[tokio::test]
async fn openssl_resumes_by_tickets_and_is_offered_no_early_data() {
    let gateway = Clocked::start().await;
    let (ok, said) = s_client(gateway.addr, &["-tls1_2", "-reconnect"]).await;
    assert!(ok, "{said}");
    assert_eq!(said.matches("Reused, TLSv1.2").count(), 5, "{said}");

    let session = gateway.folder.path().join("session");
    let ask = async |option: &str| {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(
                r#"printf 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n' |
                   openssl s_client -connect "$0" -servername localhost -tls1_3 -ign_eof "$1" "$2""#,
            )
            .arg(gateway.addr.to_string())
            .arg(option)
            .arg(&session)
            .kill_on_drop(true);
        let output = within("openssl", command.output()).await.unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = ask("-sess_out").await;
    assert_eq!(
        said.matches("New Session Ticket arrived").count(),
        2,
        "{said}"
    );
    assert_eq!(said.matches("Max Early Data: 0").count(), 2, "{said}");
    assert_eq!(said.matches("lifetime hint: 43200").count(), 2, "{said}");
    let said = ask("-sess_in").await;
    assert!(said.contains("Reused, TLSv1.3"), "{said}");
    gateway.program.terminate().await;
}

fn set(clock: &Path, seconds: u32) {
    // In one step: it is read at any time.
    let draft = clock.with_extension("draft");
    fs::write(&draft, format!("+{seconds}")).unwrap();
    fs::rename(draft, clock).unwrap();
}

/// Debian keeps it in a folder of the machine's kind.
fn libfaketime() -> PathBuf {
    let mut folders = fs::read_dir("/usr/lib").unwrap().map(Result::unwrap);
    folders
        .find_map(|folder| {
            let file = folder.path().join("faketime/libfaketimeMT.so.1");
            file.is_file().then_some(file)
        })
        .expect("libfaketime is not installed: run `cargo xtask setup`")
}

const SIX_HOURS: u32 = 6 * 60 * 60;
