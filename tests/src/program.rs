//! Programs that the tests run: found, started, listened to, and ended with the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::task::AbortOnDropHandle;

use crate::io::within;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Arc<Mutex<String>>,
    reader: AbortOnDropHandle<()>,
}

/// Where a program is.
///
/// # Panics
///
/// When it is not installed.
pub(crate) fn find(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        // Where Debian keeps servers.
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: run `cargo xtask setup`"))
}

/// One of our own programs, as cargo last built it.
///
/// A test has to find it so: cargo tells a test the programs of its own package only, and does not
/// build those of others for it. `cargo build --workspace --all-targets --all-features` does, and `cargo
/// xtask test` begins with it.
///
/// # Panics
///
/// When it is not there, or older than something it was built from.
pub fn built(name: &str) -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a file");
    // target/debug/deps/e2e-0123456789abcdef
    let folder = program
        .ancestors()
        .nth(2)
        .expect("cargo builds three folders deep");
    let file = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let again = format!("run `cargo build -p {name}`");
    let Ok(built) = modified(&file) else {
        panic!("{} is not there: {again}", file.display());
    };
    let inputs = fs::read_to_string(file.with_extension("d")).unwrap_or_default();
    for input in inputs_of(&inputs) {
        let unchanged = modified(&input).is_ok_and(|changed| changed <= built);
        let (file, input) = (file.display(), input.display());
        assert!(unchanged, "{file} was built from another {input}: {again}");
    }
    file
}

fn modified(file: &Path) -> std::io::Result<std::time::SystemTime> {
    fs::metadata(file)?.modified()
}

/// The files that a rule as `make` reads it, and cargo writes it, names after the colon.
fn inputs_of(rule: &str) -> Vec<PathBuf> {
    let inputs = rule.split_once(": ").map_or("", |(_, inputs)| inputs);
    // A space in a path has a backslash before it.
    let words = inputs.trim_end().replace("\\ ", "\0");
    let words = words.split(' ').filter(|word| !word.is_empty());
    words.map(|word| word.replace('\0', " ").into()).collect()
}

/// A file that the setup makes.
///
/// # Panics
///
/// When it is not there.
pub(crate) fn installed(file: PathBuf) -> PathBuf {
    assert!(
        file.exists(),
        "{} is not there: run `cargo xtask setup`",
        file.display()
    );
    file
}

/// The folder that cargo builds in: the one this program was built in.
pub(crate) fn target_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a file");
    // target/debug/deps/e2e-0123456789abcdef
    let target = program
        .ancestors()
        .nth(3)
        .expect("cargo builds three folders deep");
    target.to_owned()
}

/// The folder with the peers' scripts.
pub(crate) fn scripts() -> PathBuf {
    // As cargo says it when it runs us: clones that share a target folder share this program too.
    let package = std::env::var("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    PathBuf::from(package).join("peers")
}

// ===== impl Program =====

impl Program {
    /// Starts it; its output is ours, and its input stays open until [`Program::hang_up`].
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let name = command
            .as_std()
            .get_program()
            .to_string_lossy()
            .into_owned();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let spawned = command.kill_on_drop(true).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let stderr = Arc::<Mutex<String>>::default();
        let written = Arc::clone(&stderr);
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
                *written += &(line + "\n");
            }
        });
        Self {
            name,
            child,
            stdout,
            stderr,
            reader: AbortOnDropHandle::new(reader),
        }
    }

    /// The next line it prints; nothing when it has ended.
    ///
    /// # Panics
    ///
    /// When it prints nothing in time.
    pub async fn next_line(&mut self) -> Option<String> {
        let what = format!("a line from {}", self.name);
        within(&what, self.stdout.next_line())
            .await
            .expect("output in UTF-8")
    }

    /// The next line it prints.
    ///
    /// # Panics
    ///
    /// When it ends instead; what it wrote to stderr is in the message.
    pub async fn line(&mut self) -> String {
        match self.next_line().await {
            Some(line) => line,
            None => {
                let complaints = self.complaints().await;
                panic!("{} ended: {complaints}", self.name)
            }
        }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Closes its input, which ends those of our scripts that serve.
    pub fn hang_up(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    ///
    /// When it does not, or not with success.
    pub async fn join(mut self) {
        let what = format!("the end of {}", self.name);
        let status = within(&what, self.child.wait())
            .await
            .expect("a child can be waited for");
        let complaints = self.complaints().await;
        assert!(
            status.success(),
            "{} failed, {status}: {complaints}",
            self.name
        );
    }

    /// Asks it to end, as a service manager does (SIGTERM), and waits for that.
    ///
    /// # Panics
    ///
    /// When it does not, or not with success.
    pub async fn terminate(self) {
        self.signal("-TERM").await;
        self.join().await;
    }

    /// The same, and what it wrote to stderr in its life.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn terminated(&mut self) -> String {
        self.signal("-TERM").await;
        let what = format!("the end of {}", self.name);
        let status = within(&what, self.child.wait())
            .await
            .expect("a child can be waited for");
        let complaints = self.complaints().await;
        assert!(
            status.success(),
            "{} failed, {status}: {complaints}",
            self.name
        );
        complaints
    }

    /// Asks it to end, as Ctrl-C does (SIGINT), and waits for that.
    ///
    /// # Panics
    ///
    /// When it does not, or not with success.
    pub async fn interrupt(self) {
        self.signal("-INT").await;
        self.join().await;
    }

    /// Stops it where it is (SIGSTOP): its connections stay open, and nobody is there.
    pub async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    /// Lets it go on after [`Program::freeze`] (SIGCONT).
    pub async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        let written = self.stderr.lock();
        written.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its number, while nobody has waited for its end.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it was not waited for yet")
    }

    /// Sends it SIGHUP, at which many servers read their files again.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub(crate) async fn reload(&self) {
        self.signal("-HUP").await;
    }

    async fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.id().to_string()])
            .status();
        assert!(sent.await.expect("kill can be started").success());
    }

    /// Waits until it has written this to stderr.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub async fn says(&self, text: &str) {
        let has_said = || {
            let stderr = self.stderr.lock();
            let stderr = stderr.unwrap_or_else(PoisonError::into_inner);
            stderr.contains(text)
        };
        let said = async {
            while !has_said() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        within(text, said).await;
    }

    /// Kills it and waits until it is gone.
    pub async fn kill(mut self) {
        within("killing", self.child.kill())
            .await
            .expect("a child can be killed");
    }

    /// What it wrote to stderr, after it has ended.
    pub(crate) async fn complaints(&mut self) -> String {
        // Its last words may still be in the pipe, or held open by a grandchild: a moment, no more.
        let moment = std::time::Duration::from_millis(500);
        let _ = tokio::time::timeout(moment, &mut self.reader).await;
        self.stderr
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
