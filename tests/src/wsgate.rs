//! The program `wsgate` as a process with limits of its own, and what the kernel tells of it.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::certs::TestCa;
use crate::client::Target;
use crate::io::within;
use crate::program::{Program, built};

/// How to start it.
#[derive(Debug)]
pub struct Options {
    route: String,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    shell: String,
    output: String,
    has_tls: bool,
}

/// The program, running, with two workers. Dropping it kills it.
#[derive(Debug)]
pub struct Wsgate {
    program: Program,
    addr: SocketAddr,
    ca: TestCa,
    has_tls: bool,
    _files: TempDir,
}

// ===== impl Options =====

impl Options {
    /// Words for the command line.
    #[must_use]
    pub fn args(mut self, words: &str) -> Self {
        let words = words.split_whitespace().map(str::to_owned);
        self.args.extend(words);
        self
    }

    /// Where `/websocket` leads, as a `--route` has it behind the `=`.
    #[must_use]
    pub fn route(self, route: impl Into<String>) -> Self {
        Self {
            route: route.into(),
            ..self
        }
    }

    /// With a certificate for `localhost`. Default: plain HTTP.
    #[must_use]
    pub fn tls(self) -> Self {
        Self {
            has_tls: true,
            ..self
        }
    }

    /// An environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a shell does before it becomes the program: `ulimit -n 100`.
    #[must_use]
    pub fn shell(self, commands: &str) -> Self {
        Self {
            shell: format!("{commands};"),
            ..self
        }
    }

    /// Where bash sends its output: `2>/dev/full`. Default: to us, as [`Wsgate::log`].
    #[must_use]
    pub fn output(self, redirection: &str) -> Self {
        Self {
            output: redirection.to_owned(),
            ..self
        }
    }

    /// Starts it, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn start(self) -> Wsgate {
        let ca = TestCa::new();
        let files = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new("bash");
        let script = format!("{} exec \"$0\" \"$@\" {}", self.shell, self.output);
        command.args(["-c", &script]).arg(built("wsgate"));
        command.args(["--listen", "127.0.0.1:0", "--workers", "2"]);
        command
            .arg("--route")
            .arg(format!("/websocket={}", self.route));
        if self.has_tls {
            let (chain, key) = ca.leaf(&["localhost"]).write(files.path(), "leaf");
            command.arg("--cert").arg(chain).arg("--key").arg(key);
        } else {
            command.arg("--plain");
        }
        command
            .args(&self.args)
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1");
        command.envs(self.variables);
        let mut program = Program::start(&mut command);
        let line = program.line().await;
        let port = line
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("no address in {line:?}"));
        Wsgate {
            program,
            addr: ([127, 0, 0, 1], port).into(),
            ca,
            has_tls: self.has_tls,
            _files: files,
        }
    }
}

// ===== impl Wsgate =====

impl Wsgate {
    /// Serves `/websocket` from an upstream without TLS.
    pub fn before(upstream: SocketAddr) -> Options {
        Options {
            route: format!("http://{upstream}"),
            args: Vec::new(),
            variables: Vec::new(),
            shell: String::new(),
            output: String::new(),
            has_tls: false,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What clients connect to.
    pub fn target(&self) -> Target {
        match self.has_tls {
            true => Target::tls(self.addr, &self.ca),
            false => Target::plain(self.addr),
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// How many lines of its log have this in them.
    pub fn count(&self, words: &str) -> usize {
        let log = self.log();
        log.lines().filter(|line| line.contains(words)).count()
    }

    /// Waits until its log has so many lines with this in them.
    ///
    /// # Panics
    ///
    /// When they do not come.
    pub async fn logs(&self, words: &str, lines: usize) {
        self.until(&format!("`{words}` in the log"), |this| {
            this.count(words) >= lines
        })
        .await;
    }

    /// Waits until something is so.
    ///
    /// # Panics
    ///
    /// When that does not happen.
    pub async fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        within(what, async {
            while !condition(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// How many files it has open, of those that count for its limit: one that it has inherited may lie
    /// beyond.
    pub fn open_files(&self) -> usize {
        let limit = self.limit_of_files();
        let files = fs::read_dir(self.file("fd")).expect("Linux tells");
        let numbers = files.filter_map(|file| file.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(|number: &usize| *number < limit).count()
    }

    /// How many files it may have open.
    pub fn limit_of_files(&self) -> usize {
        let limits = fs::read_to_string(self.file("limits")).expect("Linux tells");
        let line = limits
            .lines()
            .find_map(|l| l.strip_prefix("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().next());
        soft.expect("a limit").parse().expect("a number")
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        let tasks = fs::read_dir(self.file("task"));
        tasks.expect("Linux tells").count()
    }

    /// The memory that it has now, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(self.file("status")).expect("Linux tells");
        let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let size = size.and_then(|size| size.trim().strip_suffix(" kB"));
        let kibibytes: u64 = size.expect("a size").parse().expect("a number");
        kibibytes * 1024
    }

    /// The CPU time that it has used, in steps of 10 ms.
    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.file("stat")).expect("Linux tells");
        // The name of the program, in brackets, may have spaces in it.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let fields: Vec<_> = fields.split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u64>().expect("a number");
        // proc_pid_stat(5): utime and stime are 14 and 15, of which two came before the bracket.
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }

    /// Stops it where it is (SIGSTOP).
    pub async fn freeze(&self) {
        self.program.freeze().await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn thaw(&self) {
        self.program.thaw().await;
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Panics
    ///
    /// When it does not, or not with success.
    pub async fn terminate(self) {
        self.program.terminate().await;
    }

    fn file(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.program.id())
    }
}
