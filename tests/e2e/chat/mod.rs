//! The chat example as people use it: the program from outside, its page in Chromium.

mod connection;
mod conversation;
mod picture;

use fantoccini::key::Key;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use wsgate_tests::browser::Browser;
use wsgate_tests::fixed_port;
use wsgate_tests::program::{self, Program};

/// The program, running.
struct Chat {
    program: Program,
    /// Where the page is.
    url: String,
    /// The certificate of its development CA, in PEM.
    ca: String,
    data: TempDir,
}

/// Somebody with a browser of their own, in a room.
struct Person {
    browser: Browser,
}

// ===== impl Chat =====

impl Chat {
    /// Starts it on a port to which it can come back, with further flags.
    async fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", fixed_port());
        Self::start_at(&address, data, flags).await
    }

    /// Ends it, as a service manager does.
    async fn stop(self) -> Stopped {
        self.program.terminate().await;
        let (_, port) = self.url.rsplit_once(':').unwrap();
        Stopped {
            address: format!("127.0.0.1:{port}"),
            data: self.data,
        }
    }

    async fn start_at(address: &str, data: TempDir, flags: &[&str]) -> Self {
        let mut command = Command::new(program::built("example-chat"));
        command.args(["--listen", address, "--data-dir"]);
        let mut program = Program::start(command.arg(data.path()).args(flags));
        let line = program.line().await;
        let url = line
            .strip_prefix("chat ")
            .unwrap_or_else(|| panic!("{line:?}"));
        let ca = std::fs::read_to_string(data.path().join("ca.pem")).unwrap();
        Self {
            program,
            url: url.trim().to_owned(),
            ca,
            data,
        }
    }
}

/// The program after its end, with what it needs to come back.
struct Stopped {
    address: String,
    data: TempDir,
}

// ===== impl Stopped =====

impl Stopped {
    async fn start(self) -> Chat {
        Chat::start_at(&self.address, self.data, &[]).await
    }
}

// ===== impl Person =====

impl Person {
    /// Opens the page in a browser that trusts it, and steps inside.
    async fn enter(chat: &Chat, name: &str) -> Self {
        Self::enter_with(Browser::start(&chat.ca).await, chat, name).await
    }

    /// The same with a browser of a kind.
    async fn enter_with(browser: Browser, chat: &Chat, name: &str) -> Self {
        browser.open(&chat.url).await;
        let person = Self { browser };
        person
            .until("document.querySelector('#state').dataset.state === 'open'")
            .await;
        // The box for the name has the focus.
        person.press(&enter(name)).await;
        person.until("document.body.dataset.view === 'room'").await;
        person
    }

    /// Types a message and sends it.
    async fn say(&self, text: &str) {
        let new_line: String = [Key::Shift, Key::Enter, Key::Null]
            .map(char::from)
            .iter()
            .collect();
        self.press(&enter(&text.replace('\n', &new_line))).await;
    }

    /// Waits for a message in the log that the service has heard.
    async fn hears(&self, author: &str, text: &str) {
        let heard = format!(
            "[...document.querySelectorAll('#log .line:not([data-pending])')].some(line =>\
                line.textContent === {} && line.closest('.turn').dataset.author === {})",
            json!(text),
            json!(author)
        );
        self.until(&heard).await;
    }

    /// Everything in the log that the service has heard, as author and text.
    async fn log(&self) -> Vec<(String, String)> {
        let log = "return [...document.querySelectorAll('#log .line:not([data-pending])')].map(line =>\
            [line.closest('.turn').dataset.author, line.textContent])";
        serde_json::from_value(self.browser.run(log).await).unwrap()
    }

    /// Waits until these people are in the room, oneself first.
    async fn is_among(&self, names: &[&str]) {
        let shown = "[...document.querySelectorAll('#people li bdi')].map(li => li.textContent)";
        self.until(&format!("{shown}.join() === {}", json!(names.join(","))))
            .await;
    }

    /// Waits until the log says that somebody came or went.
    async fn is_told(&self, notice: &str) {
        let notices = "[...document.querySelectorAll('#log .notice')]";
        self.until(&format!(
            "{notices}.some(n => n.textContent === {})",
            json!(notice)
        ))
        .await;
    }

    /// Waits until the page says how it is connected.
    async fn is_connected_by(&self, protocol: &str) {
        self.until(&format!(
            "document.querySelector('#state[data-state=open]')?.dataset.protocol === {}",
            json!(protocol)
        ))
        .await;
    }

    /// The text of an element.
    async fn text(&self, selector: &str) -> String {
        let found = format!(
            "return document.querySelector({}).textContent",
            json!(selector)
        );
        match self.browser.run(&found).await {
            Value::String(text) => text,
            other => panic!("{selector} has no text but {other}"),
        }
    }

    async fn press(&self, keys: &str) {
        self.browser.keys(keys).await;
    }

    async fn until(&self, expression: &str) {
        self.browser.until(expression).await;
    }

    async fn leave(self) {
        self.browser.close().await;
    }
}

/// A text and the Enter key.
fn enter(text: &str) -> String {
    format!("{text}{}", char::from(Key::Enter))
}
