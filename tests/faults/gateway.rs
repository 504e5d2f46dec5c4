//! The program `wsgate`, as it is built, on its host.

use std::fs;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use wsgate_tests::program::built;

use crate::net::Host;

/// A running gateway. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    log: Arc<watch::Sender<Vec<Event>>>,
    _readers: [AbortOnDropHandle<()>; 2],
}

/// A line of its log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Instant,
    line: Value,
}

// ===== impl Gateway =====

impl Gateway {
    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it ends instead.
    pub(crate) async fn start(host: &Host, args: &[String]) -> Self {
        let program = built("wsgate");
        let mut command = host.command(&program.to_string_lossy());
        command.args(args).args(["--log", "json"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .expect("ip can be started");
        let log = Arc::new(watch::Sender::new(Vec::new()));
        let stdout = child.stdout.take().expect("it is piped");
        let stderr = child.stderr.take().expect("it is piped");
        let gateway = Self {
            child,
            _readers: [keep(stdout, &log), keep(stderr, &log)],
            log,
        };
        gateway.logs("listening", 1, Duration::from_secs(20)).await;
        gateway
    }

    /// Waits until so many events say this, and gives all that do.
    ///
    /// # Panics
    ///
    /// When they do not within `limit`.
    pub(crate) async fn logs(&self, what: &str, count: usize, limit: Duration) -> Vec<Event> {
        let matching = |log: &[Event]| -> Vec<Event> {
            log.iter()
                .filter(|event| event.says(what))
                .cloned()
                .collect()
        };
        let mut log = self.log.subscribe();
        let waited = timeout(limit, log.wait_for(|log| matching(log).len() >= count)).await;
        match waited {
            Ok(log) => matching(&log.expect("we hold the sender")),
            Err(_) => panic!(
                "{count} times {what:?}: not within {limit:?}; {}",
                self.told()
            ),
        }
    }

    /// How many files and sockets it has open.
    pub(crate) fn files(&self) -> usize {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.id()));
        folder.expect("it runs, and we are root").count()
    }

    /// Waits until it has no more than so many open, and says when.
    ///
    /// # Panics
    ///
    /// When it keeps more for `limit`.
    pub(crate) async fn has_freed(&self, files: usize, limit: Duration) -> Instant {
        let deadline = Instant::now() + limit;
        while self.files() > files {
            let left = format!("{} of {files} files after {limit:?}", self.files());
            assert!(Instant::now() < deadline, "{left}; {}", self.told());
            sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    }

    /// Asks it to end.
    pub(crate) async fn terminate(&self) {
        let kill = Command::new("kill")
            .args(["-TERM", &self.id().to_string()])
            .status();
        assert!(kill.await.expect("kill can be started").success());
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// When it does not within `limit`.
    pub(crate) async fn ended(&mut self, limit: Duration) -> ExitStatus {
        match timeout(limit, self.child.wait()).await {
            Ok(status) => status.expect("it is our child"),
            Err(_) => panic!("it runs on after {limit:?}; {}", self.told()),
        }
    }

    /// What it printed, for a failure.
    fn told(&self) -> String {
        let log = self.log.borrow();
        let lines = log.iter().map(|event| format!("\n  {}", event.line));
        lines.collect()
    }

    fn id(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }
}

// ===== impl Event =====

impl Event {
    /// A field of it.
    pub(crate) fn field(&self, name: &str) -> &Value {
        &self.line[name]
    }

    fn says(&self, what: &str) -> bool {
        match &self.line {
            Value::String(line) => line.contains(what),
            line => line["message"]
                .as_str()
                .is_some_and(|message| message.contains(what)),
        }
    }
}

/// Keeps the lines of one output, with the time at which they came.
fn keep(
    output: impl AsyncRead + Unpin + Send + 'static,
    log: &Arc<watch::Sender<Vec<Event>>>,
) -> AbortOnDropHandle<()> {
    let log = Arc::clone(log);
    let mut lines = BufReader::new(output).lines();
    AbortOnDropHandle::new(tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            let at = Instant::now();
            log.send_modify(|log| log.push(Event { at, line }));
        }
    }))
}
