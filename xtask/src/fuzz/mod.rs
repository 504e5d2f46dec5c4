//! `cargo xtask fuzz`: the fuzz targets, each for a number of seconds.
//!
//! The bodies of the targets are plain functions that ordinary tests call too, with what stands in
//! `fuzz/seeds`; this is the long run, which begins there and goes on with what it found last time. It
//! needs no nightly toolchain: none of our code is `unsafe`, so that the sanitizers, which do, would look
//! for what the compiler has ruled out.

mod seeds;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use self::seeds::Seeds;
use crate::workspace::Workspace;
use crate::{process, tools};

/// What to run, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this target. Default: each in turn.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Begin with this chance, to do the same again. Default: another each time.
    #[arg(long)]
    seed: Option<u32>,
    /// Afterwards add to fuzz/seeds what reached something new, up to 200 inputs a target.
    #[arg(long)]
    keep: bool,
}

/// What libFuzzer says of a run in the end.
#[derive(Debug, PartialEq, Eq)]
struct Figures {
    runs: String,
    /// Places in the code that were reached, and features: how often and in which order.
    coverage: String,
    features: String,
    corpus: String,
}

/// cargo-fuzz, and where it builds and keeps things.
struct Fuzzer<'a> {
    workspace: &'a Workspace,
    program: PathBuf,
    /// `target/fuzz`.
    folder: PathBuf,
}

/// Runs the targets, and says of each what it came to.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let fuzzer = Fuzzer::new(workspace)?;
    let all = fuzzer.targets()?;
    let chosen = match &options.target {
        Some(target) if !all.contains(target) => {
            bail!("there is no target {target}, but {}", all.join(", "));
        }
        Some(target) => vec![target.clone()],
        None => all,
    };
    process::run(&mut fuzzer.command("build", &[]))?;
    for target in chosen {
        let figures = fuzzer.run(&target, options)?;
        crate::say(&line(&target, &figures));
        if options.keep {
            fuzzer.keep(&target)?;
        }
    }
    Ok(())
}

/// A few seconds of each target, from what is kept: that they still build and find nothing at once. By
/// the same chance each time: what is new is found by whoever looks for it, and not by whose change comes by.
pub(crate) fn smoke(workspace: &Workspace) -> Result<()> {
    let options = Options {
        target: None,
        seconds: 3,
        seed: Some(1),
        keep: false,
    };
    run(workspace, &options)
}

/// Holds the targets to the rules for all other code.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut cargo = process::cargo(&workspace.root.join(FOLDER));
    cargo.args(["clippy", "--quiet", "--target-dir"]);
    cargo.arg(workspace.target.join("fuzz-check"));
    cargo.env("RUSTFLAGS", "--cfg fuzzing");
    process::run(cargo.args(["--", "--deny", "warnings"]))
}

// ===== impl Fuzzer =====

impl<'a> Fuzzer<'a> {
    fn new(workspace: &'a Workspace) -> Result<Self> {
        Ok(Self {
            workspace,
            program: tools::installed(workspace, "cargo-fuzz", VERSION)?,
            folder: workspace.target.join("fuzz"),
        })
    }

    fn targets(&self) -> Result<Vec<String>> {
        let mut list = Command::new(&self.program);
        list.current_dir(&self.workspace.root);
        let list = process::read(list.args(["list", "--fuzz-dir", FOLDER]))?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// `cargo fuzz`, with what it has to know each time.
    fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.workspace.root);
        command.args([
            verb,
            "--fuzz-dir",
            FOLDER,
            "--sanitizer",
            "none",
            "--target-dir",
        ]);
        command.arg(&self.folder).args(args);
        command
    }

    /// The folders of a target: what it finds, and its seeds as libFuzzer wants them.
    fn corpora(&self, target: &str) -> Result<[PathBuf; 2]> {
        let found = self.folder.join("found").join(target);
        fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
        let seeds = self.folder.join("seeds").join(target);
        Seeds::read(&self.file(target))?.unpack(&seeds)?;
        Ok([found, seeds])
    }

    fn run(&self, target: &str, options: &Options) -> Result<Figures> {
        let corpora = self.corpora(target)?;
        let mut fuzz = self.command("run", &[target]);
        fuzz.args(&corpora).arg("--").args(LIMITS);
        fuzz.arg(format!("-max_total_time={}", options.seconds));
        fuzz.args(options.seed.map(|seed| format!("-seed={seed}")));
        let log = self.folder.join(format!("{target}.log"));
        self.logged(&mut fuzz, &log)?;
        let text = String::from_utf8_lossy(&read(&log)?).into_owned();
        figures(&text).with_context(|| format!("{} has no figures", log.display()))
    }

    /// Adds to the seeds what reached something that none of them does.
    fn keep(&self, target: &str) -> Result<()> {
        let [found, seeds] = self.corpora(target)?;
        let mut merge = self.command("run", &[target]);
        merge
            .args([&seeds, &found])
            .args(["--", "-merge=1"])
            .args(LIMITS);
        let log = self.folder.join(format!("{target}-keep.log"));
        self.logged(&mut merge, &log)?;
        let file = self.file(target);
        let added = Seeds::read(&file)?.add(&seeds)?.write(&file)?;
        crate::say(&format!("{target}: {added} seeds"));
        Ok(())
    }

    /// libFuzzer says a lot, which nobody needs unless it finds something.
    fn logged(&self, command: &mut Command, log: &Path) -> Result<()> {
        let file =
            fs::File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        let run = process::run(command.stderr(file).stdout(Stdio::null()));
        run.with_context(|| {
            let text = String::from_utf8_lossy(&read(log).unwrap_or_default()).into_owned();
            let from = text.lines().count().saturating_sub(TOLD);
            let last: Vec<_> = text.lines().skip(from).collect();
            format!("{}\nall of it is in {}", last.join("\n"), log.display())
        })
    }

    fn file(&self, target: &str) -> PathBuf {
        self.workspace.root.join(FOLDER).join("seeds").join(target)
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

fn line(target: &str, figures: &Figures) -> String {
    let Figures {
        runs,
        coverage,
        features,
        corpus,
    } = figures;
    format!(
        "{target:<14}{runs:>11} runs, {coverage:>6} places, {features:>6} features, corpus {corpus}"
    )
}

/// From the last line of this kind: `#815492 DONE cov: 123 ft: 456 corp: 78/9Kb lim: 300 exec/s: 9 rss: 50Mb`.
fn figures(log: &str) -> Option<Figures> {
    let last = log.lines().rev().find(|line| line.contains(" cov: "))?;
    let words: Vec<_> = last.split_whitespace().collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).map(|word| (*word).to_owned())
    };
    Some(Figures {
        runs: words.first()?.trim_start_matches('#').to_owned(),
        coverage: after("cov:")?,
        features: after("ft:")?,
        corpus: after("corp:")?,
    })
}

/// Where the targets are.
const FOLDER: &str = "fuzz";

/// Longer inputs say nothing new and take long, but those of some length are wanted from the start: operations
/// begin to mean something where there are some. What takes a minute hangs.
const LIMITS: &[&str] = &["-max_len=2048", "-len_control=0", "-timeout=60"];

/// How many of the last lines are shown of a run that found something.
const TOLD: usize = 60;

const VERSION: &str = "0.13.2";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_figures_are_told() {
        let log = "#2\tINITED cov: 1 ft: 2 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                   #815492\tDONE   cov: 123 ft: 456 corp: 78/9Kb lim: 300 exec/s: 50968 rss: 50Mb\n\
                   Done 815492 runs in 16 second(s)\n";
        let figures = figures(log).unwrap();
        assert_eq!(
            line("header", &figures),
            "header             815492 runs,    123 places,    456 features, corpus 78/9Kb"
        );
        assert_eq!(super::figures("nothing"), None);
    }
}
