//! The real HAProxy, from Debian's package, as a balancer that passes TCP on.

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::io::{fixed_port, within};
use crate::program::{self, Program};

/// A running HAProxy. Dropping it kills it.
#[derive(Debug)]
pub struct Haproxy {
    _program: Program,
    addr: SocketAddr,
    _files: TempDir,
}

impl Haproxy {
    /// Starts one that passes each connection on to `server`, with these options of its `server` line.
    /// Where they ask for checks, the server is well that has a page at `/`.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start; its own words are in the message.
    pub async fn before(server: SocketAddr, options: &str) -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        let file = files.path().join("haproxy.cfg");
        let mut last = String::new();
        // It cannot be told to find a port itself, and another program may take this one.
        for _ in 0..ATTEMPTS {
            let addr = SocketAddr::from(([127, 0, 0, 1], fixed_port()));
            fs::write(&file, configuration(addr, server, options)).expect("a file can be written");
            let mut command = Command::new(program::find("haproxy"));
            let mut program = Program::start(command.arg("-db").arg("-f").arg(&file));
            let ready = async {
                while !program.has_ended() {
                    if TcpStream::connect(addr).await.is_ok() {
                        return true;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                false
            };
            if within("HAProxy to listen", ready).await && !program.has_ended() {
                return Self {
                    _program: program,
                    addr,
                    _files: files,
                };
            }
            last = program.complaints().await;
        }
        panic!("HAProxy does not start: {last}");
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn configuration(addr: SocketAddr, server: SocketAddr, options: &str) -> String {
    format!(
        "global\n\
         \x20   maxconn 100\n\
         defaults\n\
         \x20   mode tcp\n\
         \x20   timeout connect 30s\n\
         \x20   timeout client 60s\n\
         \x20   timeout server 60s\n\
         \x20   timeout check 30s\n\
         listen front\n\
         \x20   bind {addr}\n\
         \x20   option httpchk\n\
         \x20   http-check send meth GET uri / ver HTTP/1.1 hdr Host localhost\n\
         \x20   server gateway {server} {options}\n"
    )
}

const ATTEMPTS: usize = 5;
