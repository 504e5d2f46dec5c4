//! The client of somebody else: `openssl s_client`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wsgate_tls::rustls;

use crate::support::{House, KINDS, Kind};

/// A server that sends back what it gets.
struct Echo {
    address: SocketAddr,
    files: TempDir,
    _tasks: JoinSet<()>,
}

/// A running `s_client`.
struct Openssl {
    child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

// ===== impl Echo =====

impl Echo {
    async fn start(kind: Kind, house: &House, config: ServerConfig) -> Self {
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(files.path().join(name), text).unwrap();
        write("ca.pem", &house.ca_pem);
        write("client.pem", &house.leaf_pem);
        write("client-key.pem", &house.key_pem);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let config = Arc::new(config);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let config = Arc::clone(&config);
                connections.spawn(async move {
                    let mut stream = kind.accept(socket, config).await.unwrap();
                    let mut buffer = vec![0; 0x1_0000];
                    loop {
                        match stream.read(&mut buffer).await.unwrap() {
                            0 => break,
                            count => stream.write_all(&buffer[..count]).await.unwrap(),
                        }
                        stream.flush().await.unwrap();
                    }
                    stream.shutdown().await.unwrap();
                });
            }
        });
        Self {
            address,
            files,
            _tasks: tasks,
        }
    }

    fn file(&self, name: &str) -> String {
        let path: &Path = self.files.path();
        path.join(name).to_str().unwrap().to_owned()
    }

    fn connect(&self, arguments: &[&str]) -> Openssl {
        let mut command = Command::new("sh");
        command
            .args(["-c", r#"exec openssl s_client "$@" 2>&1"#, "sh"])
            .args(["-connect", &self.address.to_string()])
            .args(["-servername", "localhost", "-verify_return_error"])
            .args(["-CAfile", &self.file("ca.pem")])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        Openssl {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }
}

// ===== impl Openssl =====

impl Openssl {
    async fn says(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    /// Waits for a line with this in it.
    async fn hears(&mut self, text: &str) -> String {
        let found = async {
            loop {
                match self.stdout.next_line().await.unwrap() {
                    Some(line) if line.contains(text) => return line,
                    Some(_) => {}
                    None => panic!("openssl has ended without {text:?}"),
                }
            }
        };
        timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("no {text:?}"))
    }

    /// Sends a close_notify, and gets one.
    async fn leaves(mut self) {
        self.says("Q").await;
        let left = timeout(PATIENCE, self.child.wait()).await.expect("an end");
        assert!(left.unwrap().success());
    }
}

#[tokio::test]
async fn every_cipher_suite_echoes() {
    let house = House::new();
    for kind in KINDS {
        let server = Echo::start(kind, &house, house.server()).await;
        for arguments in [
            ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
            ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
            ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        ] {
            let mut client = server.connect(&arguments);
            client.hears("Verification: OK").await;
            for line in ["hello", "again"] {
                client.says(line).await;
                client.hears(line).await;
            }
            client.leaves().await;
        }
    }
}

#[tokio::test]
async fn keys_are_changed_when_openssl_asks() {
    let house = House::new();
    for kind in KINDS {
        let server = Echo::start(kind, &house, house.server()).await;
        let mut client = server.connect(&["-tls1_3", "-msg"]);
        client.says("hello").await;
        client.hears("hello").await;
        // Its own keys.
        client.says("k").await;
        client.hears("KEYUPDATE").await;
        client.says("one").await;
        client
            .hears(">>> TLS 1.3, Handshake [length 0005], KeyUpdate")
            .await;
        client.hears("one").await;
        // Both sides' keys.
        client.says("K").await;
        client.hears("KEYUPDATE").await;
        client.says("two").await;
        client
            .hears("<<< TLS 1.3, Handshake [length 0005], KeyUpdate")
            .await;
        client.hears("two").await;
        client.leaves().await;
    }
}

#[tokio::test]
async fn openssl_resumes_a_session() {
    let house = House::new();
    for kind in KINDS {
        let server = Echo::start(kind, &house, house.server()).await;
        for version in ["-tls1_3", "-tls1_2"] {
            let session = server.file(version);
            let mut first = server.connect(&[version, "-sess_out", &session]);
            first.hears("New, TLSv1.").await;
            first.says("hello").await;
            first.hears("hello").await;
            first.leaves().await;

            let mut second = server.connect(&[version, "-sess_in", &session]);
            second.hears("Reused, TLSv1.").await;
            second.says("hello").await;
            second.hears("hello").await;
            second.leaves().await;
        }
    }
}

#[tokio::test]
async fn openssl_shows_who_it_is() {
    let house = House::new();
    for kind in KINDS {
        let server = Echo::start(kind, &house, house.asking(true)).await;
        let (certificate, key) = (server.file("client.pem"), server.file("client-key.pem"));
        for version in ["-tls1_3", "-tls1_2"] {
            let mut client = server.connect(&[version, "-cert", &certificate, "-key", &key]);
            client.says("hello").await;
            client.hears("hello").await;
            client.leaves().await;
        }
    }
}

/// tokio-rustls says so too, with what it writes next.
#[tokio::test]
async fn nothing_is_renegotiated_and_openssl_is_told_at_once() {
    let house = House::new();
    let server = Echo::start(Kind::TlsStream, &house, house.server()).await;
    let mut client = server.connect(&["-tls1_2"]);
    client.says("hello").await;
    client.hears("hello").await;
    client.says("R").await;
    client.hears("RENEGOTIATING").await;
    client.hears("no renegotiation").await;
}

/// Nothing here takes this long, on a loaded machine either.
const PATIENCE: Duration = Duration::from_secs(20);
