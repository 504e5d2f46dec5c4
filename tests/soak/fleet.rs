//! The upstreams, and the file that says which of them the gateway may use.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wsgate_tests::{fixed_port, within};

use crate::random::Random;
use crate::tally::Tally;

/// Processes at ports that they keep, and the file of endpoints.
#[derive(Debug)]
pub(crate) struct Fleet {
    file: PathBuf,
    members: Vec<Member>,
    tally: Arc<Tally>,
    history: Arc<History>,
}

/// What was done to the upstreams, and when.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Vec<(usize, Deed, Instant)>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Killed,
    Removed,
}

#[derive(Debug)]
struct Member {
    port: u16,
    process: Option<Process>,
    /// Its options in the file; none when it is not there.
    listed: Option<String>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    /// Hears what it says, until that ends.
    ear: AbortOnDropHandle<()>,
}

// ===== impl History =====

impl History {
    pub(crate) fn was_killed(&self, member: usize, since: Instant) -> bool {
        self.was(member, Deed::Killed, since)
    }

    /// Also shortly before: the gateway reads the file once a second, and closes over a second.
    pub(crate) fn was_removed(&self, member: usize, since: Instant) -> bool {
        self.was(member, Deed::Removed, since - NOTICE)
    }

    fn was(&self, member: usize, deed: Deed, since: Instant) -> bool {
        let deeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deeds
            .iter()
            .any(|(m, d, at)| (*m, *d) == (member, deed) && *at >= since)
    }

    fn note(&self, member: usize, deed: Deed) {
        let mut deeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.push((member, deed, Instant::now()));
    }
}

// ===== impl Fleet =====

impl Fleet {
    /// Starts all of them, and lists all in a new file.
    pub(crate) async fn start(file: PathBuf, tally: Arc<Tally>, history: Arc<History>) -> Self {
        let members = (0..MEMBERS).map(|_| Member {
            port: fixed_port(),
            process: None,
            listed: Some(String::new()),
        });
        let mut fleet = Self {
            file,
            members: members.collect(),
            tally,
            history,
        };
        fleet.restore().await;
        fleet
    }

    /// Those that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        self.those(|member| member.process.is_some())
    }

    /// Those that run and are in the file.
    pub(crate) fn in_use(&self) -> Vec<usize> {
        self.those(|member| member.process.is_some() && member.listed.is_some())
    }

    fn those(&self, are: impl Fn(&Member) -> bool) -> Vec<usize> {
        let all = self.members.iter().enumerate();
        all.filter(|(_, m)| are(m))
            .map(|(index, _)| index)
            .collect()
    }

    /// Kills one (SIGKILL).
    pub(crate) async fn kill(&mut self, index: usize) {
        let Some(mut process) = self.members[index].process.take() else {
            return;
        };
        // Before it is: its tunnels may end sooner than we go on.
        self.history.note(index, Deed::Killed);
        process.child.kill().await.expect("a child can be killed");
        // What it has said before is still in the pipe.
        let heard = within("the end of an upstream's words", process.ear).await;
        heard.expect("who listens does not panic");
    }

    /// Starts one that does not run.
    pub(crate) async fn revive(&mut self, index: usize) {
        if self.members[index].process.is_none() {
            let port = self.members[index].port;
            let process = Process::start(port, index, Arc::clone(&self.tally)).await;
            self.members[index].process = Some(process);
        }
    }

    pub(crate) fn is_listed(&self, index: usize) -> bool {
        self.members[index].listed.is_some()
    }

    /// Takes one out of the file.
    pub(crate) fn remove(&mut self, index: usize) {
        self.history.note(index, Deed::Removed);
        self.members[index].listed = None;
        self.write();
    }

    /// Puts one into the file, with options: weight, places, whether it is a backup.
    pub(crate) fn list(&mut self, index: usize, options: &str) {
        self.members[index].listed = Some(options.to_owned());
        self.write();
    }

    /// Writes what is no list of endpoints.
    pub(crate) fn garble(&self, random: &mut Random) {
        let text = random.one(&[
            "",
            "http://127.0.0.1:1 weight=none\n",
            "\u{fffd}\n",
            "http://\n",
        ]);
        self.replace(text);
    }

    /// Everything as it was at first.
    pub(crate) async fn restore(&mut self) {
        for index in 0..self.members.len() {
            self.revive(index).await;
            self.members[index].listed = Some(String::new());
        }
        self.write();
    }

    fn write(&self) {
        let listed = self.members.iter().filter_map(|member| {
            let options = member.listed.as_ref()?;
            Some(format!("http://127.0.0.1:{} {options}\n", member.port))
        });
        self.replace(&listed.collect::<String>());
    }

    /// As one should: whoever reads the file finds the old one or the new one.
    fn replace(&self, text: &str) {
        let new = self.file.with_extension("new");
        let replaced = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.file));
        replaced.expect("the folder of the soak can be written to");
    }
}

// ===== impl Process =====

impl Process {
    async fn start(port: u16, index: usize, tally: Arc<Tally>) -> Self {
        let program = env::current_exe().expect("a running program has a file");
        // Whatever ends us ends it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.args(["upstream", &port.to_string(), &index.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .expect("setpriv is there");
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = within("an upstream", lines.next_line()).await;
        let first = first.expect("it writes UTF-8");
        assert_eq!(first.as_deref(), Some("listening"), "upstream {index}");
        let ear = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match line.split_once(' ') {
                    Some(("flaw", what)) => tally.fail(format!("upstream {index}: {what}")),
                    _ => tally.one("handshakes taken by upstreams"),
                }
            }
        });
        Self {
            child,
            ear: AbortOnDropHandle::new(ear),
        }
    }
}

const MEMBERS: usize = 5;

/// How long after a removal a tunnel to the member may still be opened.
const NOTICE: Duration = Duration::from_secs(5);
