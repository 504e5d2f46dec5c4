//! The real nginx, from Debian's package, as a gateway with TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::certs::Leaf;
use crate::io::{fixed_port, within};
use crate::program::{self, Program};

/// A running nginx that keeps all its files in a temporary folder. Dropping it kills it.
#[derive(Debug)]
pub struct Nginx {
    program: Program,
    /// There are no others without a master.
    _workers: Option<Group>,
    addr: SocketAddr,
    files: TempDir,
}

/// What a test writes into `nginx.conf`, beside what every test needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config<'a> {
    /// Outside of all blocks.
    pub main: &'a str,
    /// In the `http` block.
    pub http: &'a str,
    /// In the `server` block for `localhost`.
    pub server: &'a str,
    /// With a master and a worker, as nginx is run in earnest: without them it ends and reloads in
    /// another way. A test that needs neither is better off with one process.
    pub master: bool,
}

/// The processes that a program has started and would leave behind. Dropping it kills them.
#[derive(Debug)]
struct Group(u32);

/// What everybody writes to pass the WebSockets at `path` on to `upstream`, a URL, for use in a
/// `server` block.
pub fn classic_location(path: &str, upstream: &str) -> String {
    format!(
        "location {path} {{\n\
         \x20   proxy_pass {upstream};\n\
         \x20   proxy_http_version 1.1;\n\
         \x20   proxy_set_header Upgrade $http_upgrade;\n\
         \x20   proxy_set_header Connection $connection_upgrade;\n\
         \x20   proxy_set_header Host $http_host;\n\
         \x20   proxy_set_header X-Real-IP $remote_addr;\n\
         \x20   proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         \x20   proxy_set_header X-Forwarded-Proto $scheme;\n\
         }}\n"
    )
}

// ===== impl Nginx =====

impl Nginx {
    /// Starts nginx with a `server` block for `localhost` that holds these locations.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start; its own words are in the message.
    pub async fn start(leaf: &Leaf, locations: &str) -> Self {
        let config = Config {
            server: locations,
            ..Config::default()
        };
        Self::configured(leaf, &config).await
    }

    /// Starts nginx with more lines of one's own.
    ///
    /// # Panics
    ///
    /// As [`Nginx::start`].
    pub async fn configured(leaf: &Leaf, config: &Config<'_>) -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        leaf.write(files.path(), "server");
        let mut last = String::new();
        // nginx cannot be told to find a port itself, and another program may take this one.
        for _ in 0..ATTEMPTS {
            let addr = SocketAddr::from(([127, 0, 0, 1], fixed_port()));
            match Self::start_at(addr, files.path(), config).await {
                Ok((program, workers)) => {
                    return Self {
                        program,
                        _workers: workers,
                        addr,
                        files,
                    };
                }
                Err(complaints) => last = complaints,
            }
        }
        panic!("nginx does not start: {last}");
    }

    async fn start_at(
        addr: SocketAddr,
        files: &Path,
        config: &Config<'_>,
    ) -> Result<(Program, Option<Group>), String> {
        fs::write(files.join("nginx.conf"), configuration(addr, config))
            .expect("a file can be written");
        let mut command = command(files);
        let mut nginx = Program::start(command.process_group(0));
        let workers = config.master.then(|| Group(nginx.id()));
        let ready = async {
            loop {
                if TcpStream::connect(addr).await.is_ok() {
                    return true;
                }
                if nginx.has_ended() {
                    return false;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        // Asked again: a port that somebody else has answers too.
        if within("nginx to listen", ready).await && !nginx.has_ended() {
            return Ok((nginx, workers));
        }
        Err(nginx.complaints().await)
    }

    /// Where it listens, with TLS.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Runs `nginx -s` with this word: `quit`, `reload` or `stop`. It is over before nginx has acted.
    ///
    /// # Panics
    ///
    /// When there is nobody to tell.
    pub async fn tell(&self, word: &str) {
        let told = command(self.files.path()).args(["-s", word]).output();
        let told = within("nginx -s", told)
            .await
            .expect("nginx can be started");
        assert!(told.status.success(), "nginx -s {word}: {told:?}");
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    ///
    /// When it does not, or not with success.
    pub async fn join(self) {
        self.program.join().await;
    }

    /// Ends it, and returns its error log.
    pub async fn stop(self) -> String {
        self.program.kill().await;
        fs::read_to_string(self.files.path().join("error.log")).unwrap_or_default()
    }
}

// ===== impl Group =====

impl Drop for Group {
    fn drop(&mut self) {
        // They are gone already after an end in order.
        let _ = std::process::Command::new("kill")
            .args(["-KILL", "--", &format!("-{}", self.0)])
            .stderr(Stdio::null())
            .status();
    }
}

fn command(files: &Path) -> Command {
    let mut command = Command::new(program::find("nginx"));
    command
        .arg("-p")
        .arg(files)
        .args(["-c", "nginx.conf", "-e", "stderr"]);
    command
}

/// In the foreground, and one process unless more are wanted, so that ending it ends all of it. Its
/// five folders of temporary files are compiled in as system paths and must be moved.
fn configuration(addr: SocketAddr, config: &Config<'_>) -> String {
    let Config {
        main,
        http,
        server,
        master,
    } = config;
    let master = if *master { "on" } else { "off" };
    format!(
        "daemon off;\n\
         master_process {master};\n\
         {main}\n\
         pid nginx.pid;\n\
         error_log error.log info;\n\
         events {{}}\n\
         http {{\n\
         access_log off;\n\
         client_body_temp_path temp-body;\n\
         proxy_temp_path temp-proxy;\n\
         fastcgi_temp_path temp-fastcgi;\n\
         uwsgi_temp_path temp-uwsgi;\n\
         scgi_temp_path temp-scgi;\n\
         map $http_upgrade $connection_upgrade {{\n\
         \x20   default upgrade;\n\
         \x20   '' close;\n\
         }}\n\
         {http}\n\
         server {{\n\
         listen {addr} ssl http2;\n\
         server_name localhost;\n\
         ssl_certificate server.pem;\n\
         ssl_certificate_key server.key;\n\
         {server}\
         }}\n\
         }}\n"
    )
}

const ATTEMPTS: usize = 5;
