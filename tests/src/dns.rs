//! A real name server, dnsmasq from Debian's package.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::io::{fixed_port, within};
use crate::program::{self, Program};

/// A name server that knows the names it is told, and nothing of the world. Dropping it kills it.
#[derive(Debug)]
pub struct NameServer {
    program: Program,
    addr: SocketAddr,
    files: TempDir,
}

// ===== impl NameServer =====

impl NameServer {
    /// Starts one that knows these names. Its answers hold for no time at all.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not start; its own words are in the message.
    pub async fn start(names: &[(&str, IpAddr)]) -> Self {
        // It cannot be told to find a port itself, and another program may take this one.
        Self::start_at((0..ATTEMPTS).map(|_| fixed_port()), names).await
    }

    /// The same at a port of one's own.
    ///
    /// # Panics
    ///
    /// As there.
    pub async fn at(port: u16, names: &[(&str, IpAddr)]) -> Self {
        Self::start_at([port], names).await
    }

    async fn start_at(ports: impl IntoIterator<Item = u16>, names: &[(&str, IpAddr)]) -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        write(&files, names);
        let mut last = String::new();
        for port in ports {
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            let mut program = Program::start(&mut command(addr, &files));
            let ready = async {
                while TcpStream::connect(addr).await.is_err() {
                    if program.has_ended() {
                        return false;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                true
            };
            if within("dnsmasq to listen", ready).await && !program.has_ended() {
                return Self {
                    program,
                    addr,
                    files,
                };
            }
            last = program.complaints().await;
        }
        panic!("dnsmasq does not start: {last}");
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Has it gone, and waits for that.
    pub async fn kill(self) {
        self.program.kill().await;
    }

    /// Makes these the names that it knows, and no others. It is over before dnsmasq has read them.
    pub async fn set(&self, names: &[(&str, IpAddr)]) {
        write(&self.files, names);
        self.program.reload().await;
    }
}

fn write(files: &TempDir, names: &[(&str, IpAddr)]) {
    let lines = names.iter().map(|(name, ip)| format!("{ip} {name}\n"));
    let lines: String = lines.collect();
    fs::write(files.path().join("hosts"), lines).expect("a file can be written");
}

fn command(addr: SocketAddr, files: &TempDir) -> Command {
    let mut command = Command::new(program::find("dnsmasq"));
    let hosts = files.path().join("hosts");
    command
        .args([
            // In the foreground, with its complaints on stderr, and as whoever started it: to become another
            // user is refused in a namespace that knows no other.
            "--no-daemon",
            "--conf-file=/dev/null",
            "--pid-file=",
        ])
        .args([
            "--no-resolv",
            "--no-hosts",
            "--local=/test/",
            "--bind-interfaces",
        ])
        .arg(format!("--listen-address={}", addr.ip()))
        .arg(format!("--port={}", addr.port()))
        .arg(format!("--addn-hosts={}", hosts.display()));
    command
}

const ATTEMPTS: usize = 5;
