//! Programs that run beside us: pinned to cores, given ports, and ended with us, whatever ends us.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How to start a program.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) end: End,
    program: PathBuf,
    args: Vec<String>,
    dir: PathBuf,
}

/// How a program is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Kill,
    /// For those with children of their own.
    Terminate,
}

/// A running program. Dropping it ends it; so does our own end, by whatever means.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    end: End,
    log: PathBuf,
}

/// Who runs where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Cores of the peers, as `taskset` takes them.
    pub(crate) peers: String,
    /// Cores of generator and upstream.
    pub(crate) load: String,
}

// ===== impl Launch =====

impl Launch {
    pub(crate) fn new(name: &str, program: &Path, dir: &Path) -> Self {
        Self {
            name: name.to_owned(),
            env: Vec::new(),
            end: End::Kill,
            program: program.to_owned(),
            args: Vec::new(),
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// The command, on these cores. Each link of the chain replaces itself by the next, so that the process
    /// is the program's own in the end.
    pub(crate) fn command(&self, cores: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", RAISE_DESCRIPTORS, "sh"]);
        command.args(["taskset", "--cpu-list", cores]);
        let signal = match self.end {
            End::Kill => "KILL",
            End::Terminate => "TERM",
        };
        // The kernel sends it when we end, Ctrl-C and crashes included.
        command.args(["setpriv", "--pdeathsig", signal, "--"]);
        command.arg(&self.program).args(&self.args);
        command
            .current_dir(&self.dir)
            .envs(self.env.iter().cloned());
        command
    }

    /// Starts it; what it writes goes to a file of its folder.
    pub(crate) fn start(self, cores: &str) -> Result<Program> {
        let log = self.dir.join(format!("{}.log", self.name));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let both = file.try_clone().context("cannot share a file")?;
        let mut command = self.command(cores);
        command.stdin(Stdio::null()).stdout(both).stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.name))?;
        let Self { name, end, .. } = self;
        Ok(Program {
            name,
            child,
            end,
            log,
        })
    }
}

/// Some peers do not do it themselves. The hard limit of a container can be so large that a table for
/// as many descriptors would not fit into memory.
const RAISE_DESCRIPTORS: &str = "limit=$(ulimit -Hn)\n\
    [ \"$limit\" != unlimited ] && [ \"$limit\" -lt 65536 ] || limit=65536\n\
    ulimit -n \"$limit\" && exec \"$@\"";

// ===== impl Program =====

impl Program {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens.
    ///
    /// # Errors
    ///
    /// When it ends instead, or takes too long; its last words are in the error.
    pub(crate) fn listens_at(&mut self, addr: SocketAddr) -> Result<()> {
        self.wait_until("listen", |_| TcpStream::connect(addr).is_ok())
    }

    /// Waits until it has written `mark`, and returns the rest of that line.
    pub(crate) fn says(&mut self, mark: &str) -> Result<String> {
        let mut rest = None;
        self.wait_until("speak", |words| {
            // A line of which the end is missing is not yet written.
            let whole = &words[..words.rfind('\n').unwrap_or(0)];
            let line = whole.lines().find_map(|line| line.split_once(mark));
            rest = line.map(|(_, rest)| rest.trim().to_owned());
            rest.is_some()
        })?;
        rest.context("it has spoken")
    }

    /// The last that it wrote, in one line.
    pub(crate) fn last_words(&self) -> String {
        let words = fs::read_to_string(&self.log).unwrap_or_default();
        let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let lines: Vec<_> = lines.collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    fn wait_until(&mut self, what: &str, mut done: impl FnMut(&str) -> bool) -> Result<()> {
        let deadline = now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().context("cannot ask for a child")? {
                bail!("{} ended ({status}): {}", self.name, self.last_words());
            }
            let words = fs::read_to_string(&self.log).unwrap_or_default();
            if done(&words) {
                return Ok(());
            }
            if now() > deadline {
                bail!("{} does not {what}: {}", self.name, self.last_words());
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let told = Command::new("kill")
            .args(["-s", signal, &id])
            .stderr(Stdio::null())
            .status();
        if told.is_err() {
            crate::say(&format!("cannot signal {}, process {id}", self.name));
        }
    }

    /// Waits for its end for a while; whether it came.
    pub(crate) fn ends_within(&mut self, time: Duration) -> bool {
        let deadline = now() + time;
        while now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.end == End::Terminate {
            self.signal("TERM");
            if self.ends_within(PATIENCE) {
                return;
            }
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ===== impl Placement =====

impl Placement {
    /// Two cores for the peers, as they have two workers, and the others for the load. Where there are
    /// fewer than four, all share all.
    pub(crate) fn on(cores: usize) -> Self {
        let range = |first: usize, last: usize| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        };
        let last = cores.max(1) - 1;
        let (peers, load) = if cores < 4 {
            (range(0, last), range(0, last))
        } else {
            (range(0, 1), range(2, last))
        };
        Self { peers, load }
    }
}

/// A port that is free. Not one from the range in which the kernel chooses: an outgoing connection could
/// take it before the program does.
pub(crate) fn free_port() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(FIRST_PORT);
    for _ in FIRST_PORT..LAST_PORT {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if port >= LAST_PORT {
            NEXT.store(FIRST_PORT, Ordering::Relaxed);
        }
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(addr).is_ok() {
            return Ok(addr);
        }
    }
    bail!("no port from {FIRST_PORT} to {LAST_PORT} is free")
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for programs that run in real time"
)]
fn now() -> Instant {
    Instant::now()
}

const FIRST_PORT: u16 = 18_000;
const LAST_PORT: u16 = 28_000;

/// For a program to come up, or to go.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(dir: &Path, script: &str) -> Launch {
        Launch::new("shell", Path::new("/bin/sh"), dir).args(["-c", script])
    }

    #[test]
    fn a_program_that_ends_early_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = shell(dir.path(), "echo no such file >&2; exit 3")
            .start("0")
            .unwrap();
        let error = program
            .listens_at(free_port().unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 3") && error.ends_with("no such file"),
            "{error}"
        );
    }

    #[test]
    fn what_it_says_can_be_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = shell(dir.path(), "echo listening here; exec sleep 60")
            .start("0")
            .unwrap();
        assert_eq!(program.says("listening ").unwrap(), "here");
    }

    #[test]
    fn dropping_it_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        for end in [End::Kill, End::Terminate] {
            let mut launch = shell(dir.path(), "echo up; exec sleep 60");
            launch.end = end;
            let mut program = launch.start("0").unwrap();
            program.says("up").unwrap();
            let process = PathBuf::from(format!("/proc/{}", program.id()));
            assert!(process.exists());
            drop(program);
            assert!(!process.exists(), "{end:?}");
        }
    }

    #[test]
    fn peers_have_two_cores_to_themselves_where_there_are_four() {
        for (cores, peers, load) in [
            (1, "0", "0"),
            (2, "0-1", "0-1"),
            (4, "0-1", "2-3"),
            (16, "0-1", "2-15"),
        ] {
            let (peers, load) = (peers.to_owned(), load.to_owned());
            assert_eq!(Placement::on(cores), Placement { peers, load });
        }
    }

    #[test]
    fn ports_are_not_given_twice_in_a_row() {
        assert_ne!(free_port().unwrap(), free_port().unwrap());
    }
}
