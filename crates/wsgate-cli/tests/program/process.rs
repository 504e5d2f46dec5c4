//! The program, as a process.

use std::{
    fs::File,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::support::PATIENCE;

/// The program, running. It ends with the test, whatever becomes of that.
pub(crate) struct Program {
    child: Child,
    /// `None` once it was hung up on.
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    /// Where its stderr goes, and what it may keep.
    directory: tempfile::TempDir,
}

impl Program {
    /// Starts it with the words of `line` for arguments.
    pub(crate) fn start(line: &str) -> Self {
        Self::start_with(line, &[])
    }

    pub(crate) fn start_with(line: &str, environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stderr = File::create(directory.path().join("stderr")).unwrap();
        Self::start_in(directory, line, environment, stderr.into())
    }

    /// Starts one whose log goes to a pipe that nobody reads.
    pub(crate) fn start_unread(line: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::start_in(directory, line, &[], Stdio::piped())
    }

    /// Starts one that may have no more than so many files open.
    pub(crate) fn start_with_files(line: &str, files: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stderr = File::create(directory.path().join("stderr")).unwrap();
        let mut shell = Command::new("sh");
        let exec = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        shell.args(["-c", &exec, env!("CARGO_BIN_EXE_wsgate")]);
        Self::spawn(shell, directory, line, &[], stderr.into())
    }

    fn start_in(
        directory: tempfile::TempDir,
        line: &str,
        environment: &[(&str, &str)],
        stderr: Stdio,
    ) -> Self {
        let program = Command::new(env!("CARGO_BIN_EXE_wsgate"));
        Self::spawn(program, directory, line, environment, stderr)
    }

    fn spawn(
        mut program: Command,
        directory: tempfile::TempDir,
        line: &str,
        environment: &[(&str, &str)],
        stderr: Stdio,
    ) -> Self {
        let mut child = program
            .args(line.split_whitespace())
            .env_remove("RUST_LOG")
            .env("XDG_DATA_HOME", directory.path())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdout: Some(stdout),
            directory,
        }
    }

    /// The next line on stdout, `None` when there will be no more.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let stdout = self.stdout.as_mut().unwrap();
        let line = timeout(PATIENCE, stdout.next_line()).await;
        line.expect("a line on stdout").unwrap()
    }

    /// What follows `label` in the next line.
    pub(crate) async fn says(&mut self, label: &str) -> String {
        let line = self.line().await;
        let rest = line.as_deref().and_then(|line| line.strip_prefix(label));
        let Some(rest) = rest else {
            panic!("{line:?} is not about {label}, stderr: {}", self.stderr());
        };
        rest.trim().to_owned()
    }

    /// Where it listens, as it says in its first line.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        let url = self.says("listening").await;
        let (_, port) = url.rsplit_once(':').unwrap();
        ([127, 0, 0, 1], port.parse().unwrap()).into()
    }

    /// Reads no more of its stdout.
    pub(crate) fn hang_up(&mut self) {
        self.stdout = None;
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap()
    }

    /// The first line on stderr with this text, as soon as there is one.
    pub(crate) async fn logs(&self, text: &str) -> String {
        let found = async {
            loop {
                let stderr = self.stderr();
                // A line that has not ended is not all there yet.
                let mut lines = stderr.split_inclusive('\n');
                match lines.find(|line| line.contains(text) && line.ends_with('\n')) {
                    Some(line) => return line.trim_end().to_owned(),
                    None => sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("no `{text}` in {}", self.stderr()))
    }

    /// The directory that it was given for the user's data.
    pub(crate) fn data(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended.expect("the program to end").unwrap()
    }

    /// Asks it to stop, and waits for the orderly end.
    pub(crate) async fn stop(&mut self) {
        self.signal("-TERM").await;
        let ended = self.ended().await;
        assert_eq!(ended.code(), Some(0), "{}", self.stderr());
    }
}
