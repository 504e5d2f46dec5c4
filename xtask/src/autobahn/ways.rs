//! The ways from the client to the upstream: which programs stand in them, and what both ends tell.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::compare::{Sides, Told, parse};
use crate::compare::program::{Launch, Program, free_port};

/// How the client reaches the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// With nothing in between.
    #[value(skip)]
    Direct,
    /// Through the gateway, without TLS.
    Plain,
    /// Through the gateway, over TLS and HTTP/1.1.
    Tls,
    /// Through two gateways, with TLS and HTTP/2 between them: as a client and as a server of extended CONNECT.
    Http2,
}

/// What was installed and built, and where things go.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) wsgate: PathBuf,
    /// What it is told beside where to listen and where to lead.
    pub(crate) options: &'static [&'static str],
    pub(crate) python: PathBuf,
    pub(crate) scripts: PathBuf,
    /// Holds `ca.pem`, `server.pem` and `server.key`.
    pub(crate) certs: PathBuf,
    /// For what the programs write.
    pub(crate) dir: PathBuf,
    /// All of them, as `taskset` takes them.
    pub(crate) cores: String,
}

type Lines = BTreeMap<String, Map<String, Value>>;

// ===== impl Way =====

impl Way {
    /// Those that lead through the gateway.
    pub(crate) const THROUGH: [Self; 3] = [Self::Plain, Self::Tls, Self::Http2];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Plain => "plain",
            Self::Tls => "tls",
            Self::Http2 => "http2",
        })
    }
}

// ===== impl Ground =====

impl Ground {
    /// Starts what stands in this way, asks the cases like these globs, so many at a time, and returns what both
    /// ends told.
    pub(crate) fn ask(&self, way: Way, cases: &[String], jobs: usize) -> Result<Told> {
        let dir = self.dir.join(way.to_string());
        fs::create_dir_all(&dir).context("cannot make a folder for the run")?;
        let ends = dir.join("ends.jsonl");
        let (upstream, _upstream) = self.script(&dir, "echo_server.py", &[&path(&ends)?])?;
        let (entrance, _between) = self.between(&dir, way, upstream)?;

        let client = self.fuzz(&dir, entrance, cases, jobs)?;
        let upstream = ends_of(&ends, &client)?;
        let told = client.into_iter().map(|(case, client)| {
            let upstream = upstream.get(&case).cloned().unwrap_or_default();
            (case, Sides { client, upstream })
        });
        Ok(told.collect())
    }

    /// What stands between client and upstream, and where the client has to go.
    fn between(
        &self,
        dir: &Path,
        way: Way,
        upstream: SocketAddr,
    ) -> Result<(SocketAddr, Vec<Program>)> {
        let plain = ["--plain"];
        let (chain, key) = (self.certs.join("server.pem"), self.certs.join("server.key"));
        let (chain, key, ca) = (
            path(&chain)?,
            path(&key)?,
            path(&self.certs.join("ca.pem"))?,
        );
        let tls = ["--cert", &chain, "--key", &key];
        let route = format!("/=http://{upstream}");
        match way {
            Way::Direct => Ok((upstream, Vec::new())),
            Way::Plain => {
                let (addr, gateway) = self.gateway(dir, "wsgate", &route, &plain)?;
                Ok((addr, vec![gateway]))
            }
            Way::Tls => {
                let (addr, gateway) = self.gateway(dir, "wsgate", &route, &tls)?;
                let port = addr.port().to_string();
                let (addr, bridge) = self.script(dir, "tls_bridge.py", &[&port, &ca])?;
                Ok((addr, vec![bridge, gateway]))
            }
            Way::Http2 => {
                let (addr, gateway) = self.gateway(dir, "wsgate", &route, &tls)?;
                let route = format!("/=https://localhost:{}", addr.port());
                let args = ["--plain", "--upstream-http2", "only", "--upstream-ca", &ca];
                let (addr, first) = self.gateway(dir, "wsgate-first", &route, &args)?;
                Ok((addr, vec![first, gateway]))
            }
        }
    }

    fn gateway(
        &self,
        dir: &Path,
        name: &str,
        route: &str,
        args: &[&str],
    ) -> Result<(SocketAddr, Program)> {
        let addr = free_port()?;
        let listen = addr.to_string();
        let listen = ["--listen", &listen, "--route", route];
        let args = args.iter().chain(self.options).copied();
        let args = listen.into_iter().chain(args);
        let mut gateway = Launch::new(name, &self.wsgate, dir)
            .args(args)
            .start(&self.cores)?;
        gateway.listens_at(addr)?;
        Ok((addr, gateway))
    }

    /// Starts a script that takes the port to listen at before its other arguments.
    fn script(&self, dir: &Path, name: &str, args: &[&str]) -> Result<(SocketAddr, Program)> {
        let addr = free_port()?;
        let port = addr.port().to_string();
        let script = path(&self.scripts.join(name))?;
        let args = [script.as_str(), &port]
            .into_iter()
            .chain(args.iter().copied());
        let mut launch = Launch::new(name, &self.python, dir).args(args);
        launch.env.push(without_bytecode());
        let mut program = launch.start(&self.cores)?;
        program.listens_at(addr)?;
        Ok((addr, program))
    }

    fn fuzz(&self, dir: &Path, server: SocketAddr, cases: &[String], jobs: usize) -> Result<Lines> {
        let script = path(&self.scripts.join("fuzz.py"))?;
        let (url, jobs) = (format!("ws://{server}"), jobs.to_string());
        let args = [script.as_str(), &url, &jobs];
        let args = args.into_iter().chain(cases.iter().map(String::as_str));
        let mut launch = Launch::new("fuzz.py", &self.python, dir).args(args);
        launch.env.push(without_bytecode());
        let mut command = launch.command(&self.cores);
        let mut client = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the client")?;
        let stdout = client.stdout.take().expect("it is piped");
        let mut told = Lines::new();
        for line in BufReader::new(stdout).lines() {
            let (case, rest) = parse(&line.context("cannot read what the client says")?)?;
            told.insert(case, rest);
            if told.len().is_multiple_of(PROGRESS) {
                crate::say(&format!("{} cases", told.len()));
            }
        }
        let status = client.wait().context("cannot wait for the client")?;
        if !status.success() {
            bail!("the client failed ({status}) after {} cases", told.len());
        }
        Ok(told)
    }
}

/// What the upstream told of these cases, once it has told of all; after a while, what there is.
fn ends_of(file: &Path, cases: &Lines) -> Result<Lines> {
    let deadline = now() + PATIENCE;
    loop {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        // A line of which the end is missing is not yet written.
        let whole = &text[..text.rfind('\n').unwrap_or(0)];
        let ends = whole.lines().map(parse).collect::<Result<Lines>>()?;
        if cases.keys().all(|case| ends.contains_key(case)) || now() > deadline {
            return Ok(ends);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// What came of it, and how long it took.
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let started = now();
    let done = run();
    (done, now() - started)
}

/// Python would leave compiled modules in the source tree.
fn without_bytecode() -> (&'static str, String) {
    ("PYTHONDONTWRITEBYTECODE", "1".to_owned())
}

fn path(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("{} is not in UTF-8", path.display()))?;
    Ok(text.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for programs that run in real time"
)]
fn now() -> Instant {
    Instant::now()
}

/// How long the upstream may take to tell of an end that the client has told of. Its own timers are of a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// After how many cases to say so.
const PROGRESS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_until_the_upstream_has_told_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ends.jsonl");
        fs::write(&file, "{\"case\": \"1.1\"}\n{\"case\": \"1.").unwrap();
        let cases = |names: &[&str]| -> Lines {
            let cases = names.iter().map(|&name| (name.to_owned(), Map::new()));
            cases.collect()
        };
        assert!(
            ends_of(&file, &cases(&["1.1"]))
                .unwrap()
                .contains_key("1.1")
        );
        let rest = fs::OpenOptions::new().append(true).open(&file).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| ends_of(&file, &cases(&["1.1", "1.2"])).unwrap());
            std::io::Write::write_all(&mut &rest, b"2\"}\n").unwrap();
            assert_eq!(waiting.join().unwrap().len(), 2);
        });
    }
}
