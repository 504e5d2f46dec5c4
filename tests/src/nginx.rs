//! The real nginx, from Debian's package, as a gateway with TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

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
    addr: SocketAddr,
    files: TempDir,
}

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
        let files = tempfile::tempdir().expect("a temporary folder");
        leaf.write(files.path(), "server");
        let mut last = String::new();
        // nginx cannot be told to find a port itself, and another program may take this one.
        for _ in 0..ATTEMPTS {
            let addr = SocketAddr::from(([127, 0, 0, 1], fixed_port()));
            match Self::start_at(addr, files.path(), locations).await {
                Ok(program) => {
                    return Self {
                        program,
                        addr,
                        files,
                    };
                }
                Err(complaints) => last = complaints,
            }
        }
        panic!("nginx does not start: {last}");
    }

    async fn start_at(addr: SocketAddr, files: &Path, locations: &str) -> Result<Program, String> {
        fs::write(files.join("nginx.conf"), configuration(addr, locations))
            .expect("a file can be written");
        let mut command = Command::new(program::find("nginx"));
        command
            .arg("-p")
            .arg(files)
            .args(["-c", "nginx.conf", "-e", "stderr"]);
        let mut nginx = Program::start(&mut command);
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
            return Ok(nginx);
        }
        Err(nginx.complaints().await)
    }

    /// Where it listens, with TLS.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it, and returns its error log.
    pub async fn stop(self) -> String {
        self.program.kill().await;
        fs::read_to_string(self.files.path().join("error.log")).unwrap_or_default()
    }
}

/// One process in the foreground, so that ending it ends all of it. Its five folders of temporary
/// files are compiled in as system paths and must be moved.
fn configuration(addr: SocketAddr, locations: &str) -> String {
    format!(
        "daemon off;\n\
         master_process off;\n\
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
         server {{\n\
         listen {addr} ssl http2;\n\
         server_name localhost;\n\
         ssl_certificate server.pem;\n\
         ssl_certificate_key server.key;\n\
         {locations}\
         }}\n\
         }}\n"
    )
}

const ATTEMPTS: usize = 5;
