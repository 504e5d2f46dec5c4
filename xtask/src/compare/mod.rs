//! `cargo xtask compare`: our gateway and our library against the proxies that people use.
//!
//! ```text
//! peers, scenarios      who, and what: two tables
//! install               programs of PyPI, Debian and cargo
//! rounds, program       starts an upstream, a peer and the generator; syscalls: under strace
//! results, measures     what is kept, and what is read in it
//! report, plot          docs/benchmarks.md and its pictures
//! ```
//!
//! The generator, the peers' configurations and how to read all of it are in `tests/compare`.

mod install;
mod machine;
mod measures;
mod peers;
pub(crate) mod plot;
pub(crate) mod program;
mod report;
mod results;
mod rounds;
mod scenarios;
mod syscalls;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use self::peers::Peer;
use self::program::Placement;
use self::results::{Outcome, Results};
use self::rounds::{Ground, Settings};
use self::scenarios::{SCENARIOS, Scenario};
use crate::certs;
use crate::workspace::Workspace;

/// What to compare. A run of everything writes `docs/benchmarks.md`; a part of it, or a quick one, writes
/// to the target folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only these, by name; an unknown name lists them.
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Only these, by name; an unknown name lists them.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// How often everyone plays everything [default: 3, quick: 1].
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each load is measured, in seconds [default: 1.5, quick: 0.5].
    #[arg(long)]
    seconds: Option<f64>,
    /// A trial: one short round, and no more than 500 sockets.
    #[arg(long)]
    quick: bool,
    /// Another build of wsgate to compare, as `label=PATH`. Repeatable.
    #[arg(long, value_name = "LABEL=PATH", value_parser = Peer::build_of_ours)]
    wsgate: Vec<Peer>,
    /// Put the results in the place of the same peers' and scenarios' in docs/benchmarks.
    #[arg(long)]
    update: bool,
    /// Only write docs/benchmarks.md again, from docs/benchmarks/results.json.
    #[arg(long)]
    report: bool,
}

/// Runs the comparison, or only its report.
///
/// # Errors
///
/// When something cannot be installed or written. A peer that fails is in the report.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let docs = workspace.root.join("docs");
    if options.report {
        let results = Results::load(&docs.join("benchmarks/results.json"))?;
        return report::write(&results, &docs);
    }
    let settings = options.settings()?;
    let installed = install::run(workspace, options.chosen_peers()?)?;
    let folder = folder(workspace);
    let ground = Ground {
        dir: folder.join("run"),
        certs: folder.join("certs"),
        configs: workspace.root.join("tests/compare/peers"),
    };
    certs::run(
        workspace,
        Some(ground.certs.clone()),
        &["localhost".to_owned()],
    )?;

    // As it was built, whatever is edited meanwhile.
    let commit = machine::commit(workspace);
    let runs = rounds::run(&settings, &installed, &ground);
    let tls = runs.iter().find_map(|run| match &run.outcome {
        Outcome::Sample(sample) => sample.tls.clone(),
        Outcome::Error(_) => None,
    });
    let results = Results {
        date: machine::date(),
        commit,
        machine: machine::machine(&settings.placement),
        rounds: settings.rounds,
        seconds: settings.seconds,
        tls: tls.unwrap_or_default(),
        peers: installed
            .peers
            .into_iter()
            .map(|(peer, _, version)| peer.info(version))
            .collect(),
        runs,
    };
    let results = match options.update {
        true => Results::load(&docs.join("benchmarks/results.json"))?.updated_by(results),
        false => results,
    };
    let is_documentation = options.update || options.is_whole();
    let out = if is_documentation { docs } else { folder };
    fs::create_dir_all(out.join("benchmarks")).context("cannot make a folder for the results")?;
    results.save(&out.join("benchmarks/results.json"))?;
    report::write(&results, &out)?;
    eprint!("\n{}", report::summary(&results));
    crate::say(&format!("wrote {}", out.join("benchmarks.md").display()));
    Ok(())
}

/// What the comparison installs, builds and leaves behind.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target.join("compare")
}

// ===== impl Options =====

impl Options {
    /// Whether the results are what the documentation is to show.
    fn is_whole(&self) -> bool {
        !self.quick && self.peers.is_empty() && self.scenarios.is_empty() && self.wsgate.is_empty()
    }

    fn settings(&self) -> Result<Settings> {
        let (rounds, seconds) = if self.quick { (1, 0.5) } else { (3, 1.5) };
        Ok(Settings {
            rounds: self.rounds.unwrap_or(rounds).max(1),
            seconds: self.seconds.unwrap_or(seconds),
            connections_at_most: self.quick.then_some(500),
            scenarios: self.chosen_scenarios()?,
            placement: Placement::on(machine::cores()),
        })
    }

    fn chosen_scenarios(&self) -> Result<Vec<&'static Scenario>> {
        if self.scenarios.is_empty() {
            return Ok(SCENARIOS.iter().collect());
        }
        let chosen = self.scenarios.iter().map(|name| {
            let known = SCENARIOS.iter().map(|scenario| scenario.name);
            Scenario::named(name).with_context(|| unknown("scenario", name, known))
        });
        chosen.collect()
    }

    /// In the order of the report, with other builds of ours at the end.
    fn chosen_peers(&self) -> Result<Vec<Peer>> {
        let mut peers = peers::all();
        let known: Vec<_> = peers.iter().map(|peer| peer.name.clone()).collect();
        for name in &self.peers {
            if !known.contains(name) {
                bail!(unknown("peer", name, known.iter().map(String::as_str)));
            }
        }
        peers.retain(|peer| self.peers.is_empty() || self.peers.contains(&peer.name));
        for build in &self.wsgate {
            if peers.iter().any(|peer| peer.name == build.name) {
                bail!(
                    "{} is the name of another peer: write LABEL=PATH",
                    build.name
                );
            }
            peers.push(build.clone());
        }
        Ok(peers)
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    format!("there is no {what} {name:?}, but {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn options(args: &[&str]) -> Options {
        let all = ["compare"].iter().chain(args);
        Cli::try_parse_from(all).unwrap().options
    }

    #[test]
    fn only_a_run_of_everything_is_for_the_documentation() {
        for (args, whole) in [
            (&[][..], true),
            (&["--rounds=9", "--seconds=3"], true),
            (&["--quick"], false),
            (&["--peers=nginx"], false),
            (&["--scenarios=idle"], false),
            (&["--wsgate=sh=/bin/sh"], false),
        ] {
            assert_eq!(options(args).is_whole(), whole, "{args:?}");
        }
    }

    #[test]
    fn an_unknown_name_lists_those_that_are_known() {
        let error = options(&["--peers=apache"])
            .chosen_peers()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("there is no peer \"apache\", but nginx, nginx-64k,"),
            "{error}"
        );
        let error = options(&["--scenarios=all"])
            .chosen_scenarios()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("there is no scenario \"all\", but echo-64,"),
            "{error}"
        );
    }

    #[test]
    fn another_build_needs_a_name_of_its_own() {
        let peers = options(&["--peers=nginx", "--wsgate=new=/bin/sh"])
            .chosen_peers()
            .unwrap();
        let names: Vec<_> = peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["nginx", "new"]);
        let twice = options(&["--peers=nginx", "--wsgate=nginx=/bin/sh"]).chosen_peers();
        assert!(twice.unwrap_err().to_string().contains("LABEL=PATH"));
    }
}
