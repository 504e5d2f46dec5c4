//! The program from outside: what it says, and how it ends.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests; the helpers of an integration test are not seen as such"
)]

use std::{
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

#[test]
fn says_where_it_is_and_what_to_trust_and_stops_when_asked() {
    let data = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut chat = Chat::start(&["--listen", "127.0.0.1:0"], data.path());
        let url = chat.read("chat ");
        assert!(url.starts_with("https://localhost:"), "{url}");
        assert!(!url.ends_with(":0"), "{url}");
        let service = chat.read("chat service ");
        assert!(service.starts_with("http://127.0.0.1:"), "{service}");
        let certificate = chat.read("certificate ");
        let ca = data.path().join("ca.pem");
        assert!(certificate.ends_with(ca.to_str().unwrap()), "{certificate}");
        assert!(ca.exists());
        chat.stop(signal);
    }
}

#[test]
fn runs_the_service_alone() {
    let data = tempfile::tempdir().unwrap();
    let mut chat = Chat::start(&["--serve-backend", "127.0.0.1:0"], data.path());
    let service = chat.read("chat service ");
    assert!(service.starts_with("http://127.0.0.1:"), "{service}");
    chat.stop("-TERM");
}

#[test]
fn says_in_one_line_why_it_cannot_start() {
    let data = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let check = |args: &[&str], expected: &str| {
        let mut chat = Chat::start(args, data.path());
        let mut announced = String::new();
        chat.stdout.read_line(&mut announced).unwrap();
        assert_eq!(announced, "", "{args:?} should not have started it");
        assert_eq!(chat.child.wait().unwrap().code(), Some(2), "{args:?}");
        let mut said = String::new();
        let mut stderr = chat.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        // The log may come before.
        let line = said.lines().last().unwrap();
        assert!(line.starts_with("example-chat: "), "{said}");
        assert!(line.contains(expected), "{said}");
    };
    check(&["--listen", &taken], "in use");
    check(&["--serve-backend", &taken], "in use");
    check(
        &["--listen", "127.0.0.1:0", "--backend", "ftp://127.0.0.1"],
        "ftp",
    );
    check(
        &["--listen", "127.0.0.1:0", "--backend", "no url"],
        "no url",
    );
}

#[test]
fn tells_how_to_trust_its_certificate() {
    let data = tempfile::tempdir().unwrap();
    let mut chat = Chat::start(&["--how-to-trust"], data.path());
    let mut said = String::new();
    chat.stdout.read_to_string(&mut said).unwrap();
    assert!(said.contains(data.path().to_str().unwrap()), "{said}");
    assert!(chat.child.wait().unwrap().success());
}

// ===== helpers =====

/// The program, running. Killed when a test fails.
struct Chat {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Chat {
    fn start(args: &[&str], data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_example-chat"))
            .args(args)
            .arg("--data-dir")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// What follows `start` in the next line.
    fn read(&mut self, start: &str) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        let rest = line.strip_prefix(start);
        rest.unwrap_or_else(|| panic!("{line:?}")).trim().to_owned()
    }

    /// Sends a signal and waits for the orderly end.
    fn stop(mut self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        self.stdout.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        // Both fail when it has ended, which is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
