//! The program, and what can be seen of it from outside: its log, its descriptors, its memory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use wsgate_tests::certs::TestCa;
use wsgate_tests::client::Target;
use wsgate_tests::{fixed_port, within};

use crate::tally::Tally;

/// A running `wsgate`, with the layers that it has by default and keepalives much shorter than anybody's.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    pid: u32,
    addr: SocketAddr,
    ca: TestCa,
    dir: PathBuf,
    log: AbortOnDropHandle<()>,
}

/// The gateway at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    /// What its descriptors stand for.
    pub(crate) descriptors: Vec<String>,
    pub(crate) threads: u64,
    /// Resident memory in KiB.
    pub(crate) resident: u64,
    /// The most that ever was.
    pub(crate) peak: u64,
}

// ===== impl Gateway =====

impl Gateway {
    /// Starts it with upstreams from this file.
    pub(crate) async fn start(
        wsgate: &Path,
        dir: &Path,
        endpoints: &Path,
        tally: Arc<Tally>,
    ) -> Self {
        let ca = TestCa::new();
        let (chain, key) = ca.leaf(&["localhost"]).write(dir, "server");
        let addr = SocketAddr::from(([127, 0, 0, 1], fixed_port()));
        // Whatever ends us ends it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(wsgate);
        command
            .args(["--listen", &addr.to_string(), "--cert"])
            .arg(chain);
        command.arg("--key").arg(key);
        command.args(["--route", &format!("/=file:{}", endpoints.display())]);
        command
            .args(OPTIONS)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .expect("setpriv is there");
        let stderr = child.stderr.take().expect("it is piped");
        let log = AbortOnDropHandle::new(tokio::spawn(read(stderr, tally)));
        within("the gateway's socket", async {
            while TcpStream::connect(addr).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        Self {
            pid: child.id().expect("nobody has waited for it"),
            child,
            addr,
            ca,
            dir: dir.to_owned(),
            log,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn target(&self) -> Target {
        Target::tls(self.addr, &self.ca)
    }

    pub(crate) fn figures(&self) -> Figures {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid));
        let status = status.expect("the gateway runs");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse().ok())
                .expect("Linux tells")
        };
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.pid));
        let descriptors = descriptors.expect("the gateway runs").flatten();
        let descriptors = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        Figures {
            descriptors: descriptors.map(|link| link.display().to_string()).collect(),
            threads: field("Threads:"),
            resident: field("VmRSS:"),
            peak: field("VmHWM:"),
        }
    }

    /// A new certificate of the same authority, in the same files.
    pub(crate) fn renew_certificates(&self) {
        self.ca.leaf(&["localhost"]).write(&self.dir, "server");
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        let kill = kill.args(["-s", signal, &self.pid.to_string()]).status();
        assert!(kill.await.expect("kill can be started").success());
    }

    /// Whether it goes on after this signal, for as long as it would take to end.
    pub(crate) async fn survives(mut self, signal: &str) -> bool {
        self.signal(signal).await;
        let end = timeout(A_WHILE, self.child.wait()).await;
        end.is_err()
    }

    /// Asks it to end (SIGTERM). Says how long that took; nothing when it did not end with success. All of its log
    /// is counted then.
    pub(crate) async fn end(mut self) -> Option<Duration> {
        let asked = Instant::now();
        self.signal("TERM").await;
        let status = timeout(PATIENCE, self.child.wait()).await.ok()?;
        let took = asked.elapsed();
        timeout(PATIENCE, self.log).await.ok()?.ok()?;
        status.is_ok_and(|status| status.success()).then_some(took)
    }
}

/// Counts events by their message, tunnels by why they were closed.
async fn read(stderr: ChildStderr, tally: Arc<Tally>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(event) = serde_json::from_str::<Value>(&line) else {
            tally.fail(format!("the gateway says: {line}"));
            continue;
        };
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let message = text("message");
        match message.as_str() {
            "tunnel closed" => {
                tally.one("log: tunnel closed");
                let (by, cause) = (text("closed_by"), text("cause"));
                let code = match &event["close_code"] {
                    Value::Null => "no code".to_owned(),
                    code => code.to_string(),
                };
                tally.one(&format!("closing events: {by}, {cause}, {code}"));
                for violation in ["client_violation", "upstream_violation"] {
                    if !event[violation].is_null() {
                        tally.fail(format!("the gateway found a violation: {line}"));
                    }
                }
            }
            _ => tally.one(&format!("log: {message}")),
        }
        if text("level") == "ERROR" {
            tally.fail(format!("the gateway logs an error: {line}"));
        }
    }
}

/// Limits that nobody reaches, and pings amid everything. A pong may take long on a busy machine, from clients that
/// stop to read for two seconds and upstreams that do so for one.
const OPTIONS: &[&str] = &[
    "--keepalive=300ms",
    "--pong-timeout=20s",
    "--read-timeout=60s",
    "--upstream-keepalive=3s",
    "--max-tunnels=100000",
    "--max-tunnels-per-address=100000",
    "--max-message-size=1MiB",
    "--health-check=websocket:/health",
    "--health-check-interval=1s",
    "--close-removed=1s",
    "--log=json",
    "--log-level=info",
];

/// Longer than a program takes to end by a signal that it knows nothing of.
const A_WHILE: Duration = Duration::from_secs(1);

/// More than a gateway takes to end its tunnels, of which it should have none, and its log.
const PATIENCE: Duration = Duration::from_secs(60);
