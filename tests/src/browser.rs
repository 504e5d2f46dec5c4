//! Headless Chromium, driven as a person would.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::io::within;
use crate::program::{self, Program};

/// A browser with a home, a profile and a trust of its own. Dropping it kills it;
/// [`Browser::close`] does so in order.
#[derive(Debug)]
pub struct Browser {
    page: Client,
    _driver: Program,
    /// Chromium itself: it would outlive a driver that is killed.
    chromium: Option<i64>,
    home: TempDir,
}

// ===== impl Browser =====

impl Browser {
    /// Starts a browser that trusts the authority in this PEM. It speaks HTTP/2 where the server does.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start.
    pub async fn start(ca: &str) -> Self {
        Self::start_with(ca, &[]).await
    }

    /// The same without HTTP/2.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start.
    pub async fn start_http1(ca: &str) -> Self {
        Self::start_with(ca, &["--disable-http2"]).await
    }

    /// Starts a browser with further flags.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start.
    pub async fn start_with(ca: &str, flags: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        trust(ca, home.path()).await;

        let (driver, port) = start_driver(home.path()).await;
        let profile = format!("--user-data-dir={}", home.path().join("profile").display());
        let flags: Vec<&str> = FLAGS
            .iter()
            .chain(flags)
            .copied()
            .chain([profile.as_str()])
            .collect();
        let options = json!({ "binary": program::find("chromium"), "args": flags });
        let capabilities = json!({ "goog:chromeOptions": options });
        let Value::Object(capabilities) = capabilities else {
            unreachable!("it is written so")
        };
        let mut builder =
            ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let url = format!("http://127.0.0.1:{port}");
        let connected = within(
            "the browser's start",
            builder.capabilities(capabilities).connect(&url),
        )
        .await;
        let page = match connected {
            Ok(page) => page,
            Err(error) => panic!("chromium does not start: {error}"),
        };
        let chromium = page
            .capabilities()
            .and_then(|all| all.get("goog:processID")?.as_i64());
        Self {
            page,
            _driver: driver,
            chromium,
            home,
        }
    }

    /// The page, with all that WebDriver offers.
    pub fn page(&self) -> &Client {
        &self.page
    }

    /// Opens a URL and waits until it is loaded.
    ///
    /// # Panics
    ///
    /// When it cannot be loaded, a certificate that is not trusted for one.
    pub async fn open(&self, url: &str) {
        let loaded = within("the page to load", self.page.goto(url)).await;
        loaded.unwrap_or_else(|error| panic!("cannot open {url}: {error}"));
        // A page that says what is wrong is a page too, to WebDriver.
        let error = "return location.protocol === 'chrome-error:' ? document.body.innerText : null";
        let error = self.run(error).await;
        assert!(error.is_null(), "cannot open {url}: {error}");
    }

    /// Runs the body of an async function in the page and returns what it returns.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub async fn run(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1];\
             (async () => {{ {body} }})().then(\
                 value => done({{ value: value ?? null }}),\
                 error => done({{ error: String(error) }}));"
        );
        let ran = within(
            "a script in the page",
            self.page.execute_async(&script, Vec::new()),
        )
        .await;
        let mut outcome =
            ran.unwrap_or_else(|error| panic!("the page cannot run scripts: {error}"));
        assert!(
            outcome["error"].is_null(),
            "the page threw {}",
            outcome["error"]
        );
        outcome["value"].take()
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    ///
    /// When it does not become so in time.
    pub async fn until(&self, expression: &str) {
        let what = format!("{expression} in the page");
        within(&what, async {
            while self.run(&format!("return Boolean({expression})")).await != Value::Bool(true) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Presses the keys of this text, one after the other, wherever the focus is by then.
    /// [`Key`] has those that are no letters; [`Key::Shift`] is held until [`Key::Null`].
    ///
    /// # Panics
    ///
    /// When nothing takes them.
    pub async fn keys(&self, keys: &str) {
        let mut held = Vec::new();
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys.chars() {
            if value == char::from(Key::Null) {
                for value in held.drain(..) {
                    actions = actions.then(KeyAction::Up { value });
                }
                continue;
            }
            actions = actions.then(KeyAction::Down { value });
            if value == char::from(Key::Shift) {
                held.push(value);
            } else {
                actions = actions.then(KeyAction::Up { value });
            }
        }
        // Not to the element that has the focus now: it may lose it before the keys have come to it.
        let pressed = within("pressing keys", self.page.perform_actions(actions)).await;
        pressed.unwrap_or_else(|error| panic!("cannot press {keys:?}: {error}"));
    }

    /// Gives the page this size, in its own pixels; the window is as much bigger as its frame is.
    ///
    /// # Panics
    ///
    /// When the window does not take it.
    pub async fn resize(&self, width: u32, height: u32) {
        self.set_window_size(width, height).await;
        let frame = self
            .run("return [outerWidth - innerWidth, outerHeight - innerHeight]")
            .await;
        let frame: [u32; 2] = serde_json::from_value(frame).expect("two sizes");
        self.set_window_size(width + frame[0], height + frame[1])
            .await;
        self.until(&format!(
            "innerWidth === {width} && innerHeight === {height}"
        ))
        .await;
    }

    async fn set_window_size(&self, width: u32, height: u32) {
        within("resizing", self.page.set_window_size(width, height))
            .await
            .expect("the window takes a size");
    }

    /// Writes a picture of the window to a PNG file.
    ///
    /// # Panics
    ///
    /// When there is none to be had.
    pub async fn screenshot(&self, file: &Path) {
        let picture = within("a screenshot", self.page.screenshot())
            .await
            .expect("a picture");
        fs::write(file, picture).expect("a file can be written");
    }

    /// Ends the session, the browser and its driver.
    ///
    /// # Panics
    ///
    /// When the browser does not answer.
    pub async fn close(mut self) {
        let ended = within("the browser's end", self.page.clone().close()).await;
        ended.expect("the session ends");
        // It ended in order: its id may soon be somebody else's.
        self.chromium = None;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Left when a test failed; the driver is killed with its handle.
        if let Some(id) = self.chromium {
            let _ = std::process::Command::new("kill")
                .args(["-KILL", &id.to_string()])
                .status();
        }
        // Its children end a little later, and until then they write files into what is being removed.
        for _ in 0..ATTEMPTS_TO_REMOVE {
            if fs::remove_dir_all(self.home.path()).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Starts the driver, which says what port it has found.
async fn start_driver(home: &Path) -> (Program, String) {
    let mut last = String::new();
    for _ in 0..ATTEMPTS_TO_START {
        let mut command = Command::new(program::find("chromedriver"));
        command
            .arg("--port=0")
            .env("HOME", home)
            .env("TMPDIR", home);
        // Set, they would lead back to the home of whoever runs the tests.
        for variable in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env_remove(variable);
        }
        let mut driver = Program::start(&mut command);
        while let Some(line) = driver.next_line().await {
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                return (driver, port.trim_end_matches('.').to_owned());
            }
        }
        // It wants the port that it finds in IPv4 in IPv6 too, where somebody may have it.
        last = driver.complaints().await;
    }
    panic!("chromedriver does not start: {last}");
}

/// Puts the authority into the NSS database where Chromium on Linux looks for those of the user.
async fn trust(ca: &str, home: &Path) {
    let database = home.join(".pki/nssdb");
    fs::create_dir_all(&database).expect("a folder in a temporary folder");
    let file = home.join("ca.pem");
    fs::write(&file, ca).expect("a file in a temporary folder");
    let certutil = program::find("certutil");
    let database = format!("sql:{}", database.display());
    let run = async |args: &[&str]| {
        let output = Command::new(&certutil)
            .args(["-d", &database])
            .args(args)
            .output()
            .await;
        let output = output.expect("certutil can be started");
        assert!(
            output.status.success(),
            "certutil: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&["-N", "--empty-password"]).await;
    let file = file
        .to_str()
        .expect("a temporary folder with an ordinary name");
    run(&["-A", "-n", "the test's CA", "-t", "C,,", "-i", file]).await;
}

const ATTEMPTS_TO_START: usize = 5;

/// A second's worth.
const ATTEMPTS_TO_REMOVE: usize = 50;

const FLAGS: &[&str] = &[
    "--headless=new",
    // As root, in containers, there is no sandbox to be had; the pages are our own.
    "--no-sandbox",
    "--disable-gpu",
    // /dev/shm is small in containers.
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    // Nothing that is not the test.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
