//! Runs the rounds: in each, every peer plays every scenario once, and who begins changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::install::Installed;
use super::peers::{Peer, Site};
use super::program::{self, End, Launch, Placement};
use super::results::{Outcome, Run, Sample};
use super::scenarios::{Kind, Scenario};
use super::{measures, syscalls};

/// What is run, and for how long.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    /// Measured in each run of a load.
    pub(crate) seconds: f64,
    pub(crate) connections_at_most: Option<usize>,
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) placement: Placement,
}

/// Where the rounds take place.
#[derive(Debug)]
pub(crate) struct Ground {
    /// Emptied for each run.
    pub(crate) dir: PathBuf,
    /// With `ca.pem`, `server.pem` and `server.key`.
    pub(crate) certs: PathBuf,
    /// The peers' configurations.
    pub(crate) configs: PathBuf,
}

/// All rounds. A peer that fails is told, and noted; the others go on.
pub(crate) fn run(settings: &Settings, installed: &Installed, ground: &Ground) -> Vec<Run> {
    let mut runs = Vec::new();
    let started = now();
    for round in 0..settings.rounds {
        for (turn, scenario) in settings.scenarios.iter().enumerate() {
            if round >= scenario.rounds(settings.rounds) {
                continue;
            }
            let mut players: Vec<_> = installed
                .peers
                .iter()
                .filter(|(peer, ..)| peer.plays(scenario))
                .collect();
            // Nobody always comes first, or always after the same one's heat.
            let first = (round * 5 + turn) % players.len().max(1);
            players.rotate_left(first);
            for (peer, program, _) in players {
                let play = || play(peer, program, scenario, settings, installed, ground);
                // pingora now and then loses the Close by which the generator sees whether it can be talked
                // to at all.
                let outcome = match play().or_else(|_| play()).or_else(|_| play()) {
                    Ok(sample) => Outcome::Sample(sample),
                    Err(error) => Outcome::Error(in_a_line(&format!("{error:#}"))),
                };
                let seconds = (now() - started).as_secs();
                let told = tell(scenario, &outcome);
                let (minutes, seconds) = (seconds / 60, seconds % 60);
                crate::say(&format!(
                    "{minutes:>2}:{seconds:02}  round {}  {:<19}{:<20}{told}",
                    round + 1,
                    scenario.name,
                    peer.name
                ));
                let (peer, scenario) = (peer.name.clone(), scenario.name.to_owned());
                runs.push(Run {
                    peer,
                    scenario,
                    round,
                    outcome,
                });
            }
        }
    }
    runs
}

/// One peer, freshly started, in one scenario.
fn play(
    peer: &Peer,
    program: &Path,
    scenario: &Scenario,
    settings: &Settings,
    installed: &Installed,
    ground: &Ground,
) -> Result<Sample> {
    ground.clear()?;
    let cores = &settings.placement;
    let upstream = Launch::new("upstream", &installed.load, &ground.dir);
    let upstream = upstream.args(["upstream", "--listen", "127.0.0.1:0"]);
    let mut upstream = upstream.start(&cores.load)?;
    let upstream_at = upstream.says("listening ")?;
    let site = Site {
        dir: &ground.dir,
        configs: &ground.configs,
        listen: program::free_port()?,
        upstream: upstream_at
            .parse()
            .with_context(|| format!("listens at {upstream_at:?}"))?,
    };
    let mut running = peer.launch(program, site)?.start(&cores.peers)?;
    running.listens_at(site.listen)?;

    let trust = match peer.flavour.has_tls() {
        true => "--ca=ca.pem",
        false => "--plain",
    };
    let load = |seconds: f64, warm_up: f64| {
        // A server that does not answer must not hold up the rest.
        let limit = (seconds + warm_up + 90.0).to_string();
        let mut generator = Launch::new("load", Path::new("timeout"), &ground.dir)
            .args([
                "--foreground",
                "--kill-after=5",
                &limit,
                &installed.load.to_string_lossy(),
            ])
            .args(settings.load(scenario).iter().map(String::as_str))
            .args(["--connect", &site.listen.to_string(), trust])
            .args(["--watch", &running.id().to_string()])
            .args(["--upstream-pid", &upstream.id().to_string()])
            .args(["--publish-to", &site.upstream.to_string()])
            .args([
                "--seconds",
                &seconds.to_string(),
                "--warm-up",
                &warm_up.to_string(),
            ]);
        generator.end = End::Terminate;
        measure(&mut generator.command(&cores.load))
    };
    let measured = match scenario.kind {
        Kind::Load => load(settings.seconds, WARM_UP),
        // The length of the busy phase.
        Kind::Memory => load(2.0, WARM_UP),
        Kind::Syscalls => syscalls::count(&running, &ground.dir, &cores.load, |seconds| {
            load(seconds, 0.0)
        }),
    };
    let sample = measured.or_else(|error| match running.last_words() {
        words if words.is_empty() => Err(error),
        words => bail!("{error:#}; the server wrote: {words}"),
    })?;
    if sample.messages == 0 {
        let first = sample
            .first_error
            .as_deref()
            .unwrap_or("it does not say why");
        bail!("nothing came back: {first}");
    }
    Ok(sample)
}

/// Runs the generator and reads its answer.
fn measure(generator: &mut Command) -> Result<Sample> {
    let output = generator.output().context("cannot start the generator")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("the generator failed ({}): {}", output.status, said.trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stdout);
        format!("the generator answered {:?}", said.trim())
    })
}

/// The line of progress.
fn tell(scenario: &Scenario, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Error(error) => format!("failed: {error}"),
        Outcome::Sample(sample) => {
            let measures = scenario.main.iter().filter_map(|measure| {
                let value = measures::figure(measure.of(sample)?);
                Some(format!("{value} {}", measure.unit()).trim().to_owned())
            });
            let mut told = measures.collect::<Vec<_>>().join(", ");
            if sample.errors > 0 {
                told += &format!(", {} errors", sample.errors);
            }
            told
        }
    }
}

/// Fit for a list, a table and a terminal.
fn in_a_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONG) {
        Some((cut, _)) => format!("{} …", &line[..cut]),
        None => line,
    }
}

// ===== impl Settings =====

impl Settings {
    /// The scenario's arguments, with as many sockets as a trial may have.
    fn load(&self, scenario: &Scenario) -> Vec<String> {
        let fewer = |arg: &&str| -> String {
            let wanted = arg
                .strip_prefix("--connections=")
                .and_then(|wanted| wanted.parse().ok());
            match (self.connections_at_most, wanted) {
                (Some(most), Some(wanted)) if most < wanted => format!("--connections={most}"),
                _ => (*arg).to_owned(),
            }
        };
        scenario.load.iter().map(fewer).collect()
    }
}

// ===== impl Ground =====

impl Ground {
    /// An empty folder but for the certificate.
    fn clear(&self) -> Result<()> {
        let dir = self.dir.display();
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir).with_context(|| format!("cannot empty {dir}"))?;
        }
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {dir}"))?;
        let mut both = Vec::new();
        for name in ["server.pem", "server.key", "ca.pem"] {
            let pem =
                fs::read(self.certs.join(name)).with_context(|| format!("cannot read {name}"))?;
            fs::write(self.dir.join(name), &pem).with_context(|| format!("cannot write {name}"))?;
            if name.starts_with("server") {
                both.extend(pem);
            }
        }
        fs::write(self.dir.join("server.both.pem"), both).context("cannot write the certificate")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures programs that run in real time"
)]
fn now() -> Instant {
    Instant::now()
}

/// Seconds of load before what is measured.
const WARM_UP: f64 = 0.5;

/// Characters of an error that are worth a reader's time.
const LONG: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(connections_at_most: Option<usize>) -> Settings {
        Settings {
            rounds: 1,
            seconds: 1.0,
            connections_at_most,
            scenarios: Vec::new(),
            placement: Placement::on(2),
        }
    }

    #[test]
    fn a_trial_opens_fewer_sockets() {
        let idle = Scenario::named("idle").unwrap();
        assert_eq!(settings(None).load(idle), ["idle", "--connections=5000"]);
        assert_eq!(
            settings(Some(500)).load(idle),
            ["idle", "--connections=500"]
        );
        let echo = Scenario::named("echo-1m").unwrap();
        assert_eq!(settings(Some(500)).load(echo), settings(None).load(echo));
    }

    #[test]
    fn the_ground_is_empty_but_for_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let certs = dir.path().join("certs");
        fs::create_dir(&certs).unwrap();
        for name in ["ca.pem", "server.pem", "server.key"] {
            fs::write(certs.join(name), format!("{name}\n")).unwrap();
        }
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("left-over"), "").unwrap();
        let ground = Ground {
            dir: run.clone(),
            certs,
            configs: run.clone(),
        };
        ground.clear().unwrap();
        assert!(!run.join("left-over").exists());
        let both = fs::read_to_string(run.join("server.both.pem")).unwrap();
        assert_eq!(both, "server.pem\nserver.key\n");
    }

    #[test]
    fn errors_are_lines_of_some_length() {
        assert_eq!(in_a_line("a\n  b\n"), "a b");
        let long = in_a_line(&"ä".repeat(LONG + 1));
        assert_eq!(long, "ä".repeat(LONG) + " …");
    }
}
