//! `cargo xtask autobahn`: the cases of the Autobahn TestSuite, asked of an upstream directly and through our
//! gateway, which has to make no difference.
//!
//! ```text
//! direct   fuzz.py ─▶ echo_server.py
//! plain    fuzz.py ─▶ wsgate --plain ─▶ echo_server.py
//! tls      fuzz.py ─▶ tls_bridge.py ══ TLS, HTTP/1.1 ══▶ wsgate ─▶ echo_server.py
//! http2    fuzz.py ─▶ wsgate --plain ══ TLS, HTTP/2 ══▶ wsgate ─▶ echo_server.py
//! ```
//!
//! `ways` starts the programs of a way and asks the cases over it; `compare` finds what differs in what the
//! client and the upstream told of each. The scripts are in `tests/autobahn`.

mod compare;
mod ways;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use self::compare::{Difference, Told};
use self::ways::{Ground, Way};
use crate::setup::debian;
use crate::venv::Venv;
use crate::workspace::Workspace;
use crate::{certs, process};

/// What to ask. Everything takes about half an hour on two cores: nearly all of it is the upstream, which
/// compresses and decompresses gigabytes for the cases 12 and 13.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only cases with such numbers: `1.*,12.1.?`
    #[arg(long, value_delimiter = ',', default_value = "*")]
    cases: Vec<String>,
    /// Only over these ways
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Way::THROUGH)]
    through: Vec<Way>,
    /// How many cases are asked at a time
    #[arg(long, default_value_t = JOBS)]
    jobs: usize,
}

/// How it went over one way.
struct Line {
    way: Way,
    took: Duration,
    cases: usize,
    asked_again: usize,
    differences: BTreeMap<String, Vec<Difference>>,
}

/// Asks the cases of `args`, through the program as it is released.
///
/// # Errors
///
/// When a case goes another way than directly, or the upstream fails one by itself.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    ask(workspace, args, true).map(|_| ())
}

/// Asks the cases that take no longer than seconds, through the program as the tests have built it; returns
/// how many.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_quick(workspace: &Workspace) -> Result<Option<String>> {
    let args = Args {
        cases: QUICK.iter().map(|&glob| glob.to_owned()).collect(),
        through: Way::THROUGH.to_vec(),
        jobs: JOBS,
    };
    let cases = ask(workspace, &args, false)?;
    Ok(Some(format!(
        "{cases} cases; cargo xtask autobahn asks all"
    )))
}

fn ask(workspace: &Workspace, args: &Args, is_release: bool) -> Result<usize> {
    let ground = prepare(workspace, is_release)?;
    crate::say("asking the upstream itself");
    let (direct, took) = ways::timed(|| ground.ask(Way::Direct, &args.cases, args.jobs));
    let mut direct = direct?;
    let failed = compare::failed(&direct);
    if !failed.is_empty() {
        crate::say(&format!("asking again: {}", failed.join(", ")));
        direct.append(&mut ground.ask(Way::Direct, &failed, ONE)?);
    }
    if direct.is_empty() {
        bail!("no case has a number like {}", args.cases.join(" or "));
    }
    eprintln!(
        "direct: {} cases in {:.0} s: {}",
        direct.len(),
        took.as_secs_f64(),
        compare::verdicts(&direct)
    );
    let failed = compare::failed(&direct);
    if !failed.is_empty() {
        bail!("the upstream fails {} by itself", failed.join(", "));
    }
    let mut lines = Vec::new();
    for &way in &args.through {
        crate::say(&format!("asking through the gateway: {way}"));
        let (line, took) = ways::timed(|| through(&ground, way, &direct, args));
        lines.push(Line { took, ..line? });
    }
    eprint!("\n{}", table(&lines));
    let differ: usize = lines.iter().map(|line| line.differences.len()).sum();
    if differ > 0 {
        bail!("{differ} cases went another way than directly");
    }
    Ok(direct.len())
}

/// Asks over a way. What differs is asked again, both directly and over the way, one at a time: many cases have
/// timers, and on a busy machine one of them runs out now and then. A difference of the gateway's own stays.
fn through(ground: &Ground, way: Way, direct: &Told, args: &Args) -> Result<Line> {
    let told = ground.ask(way, &args.cases, args.jobs)?;
    let mut differences = compare::differences(direct, &told);
    let asked_again = differences.len();
    for _ in 0..REPEATS {
        if differences.is_empty() {
            break;
        }
        let again: Vec<_> = differences.keys().cloned().collect();
        crate::say(&format!("asking again: {}", again.join(", ")));
        let direct = ground.ask(Way::Direct, &again, ONE)?;
        let told = ground.ask(way, &again, ONE)?;
        differences = compare::differences(&direct, &told);
    }
    Ok(Line {
        way,
        took: Duration::ZERO,
        cases: told.len(),
        asked_again,
        differences,
    })
}

/// Installs, builds and makes what is needed.
fn prepare(workspace: &Workspace, is_release: bool) -> Result<Ground> {
    debian::install_programs("the cases of Autobahn", PROGRAMS)?;
    let scripts = workspace.root.join("tests/autobahn");
    let folder = workspace.target.join("autobahn");
    let venv = Venv::new(&scripts.join("requirements.txt"), &folder.join("venv"));
    venv.install()?;

    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--locked", "--package", "wsgate-cli"]);
    let profile = match is_release {
        true => {
            cargo.arg("--release");
            "release"
        }
        // With all features, as the tests are built: not built again for this.
        false => {
            cargo.arg("--all-features");
            "debug"
        }
    };
    process::run(&mut cargo)?;

    let certs = folder.join("certs");
    certs::run(workspace, Some(certs.clone()), &["localhost".to_owned()])?;
    let dir: PathBuf = folder.join("run");
    fs::create_dir_all(&dir)?;
    let wsgate = workspace.target.join(profile).join("wsgate");
    let help = process::read(Command::new(&wsgate).arg("--help"))?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(Ground {
        wsgate,
        // Where it can also be strict, it is to pass on what is wrong.
        options: match help.contains("--frames") {
            true => &["--frames", "transparent"],
            false => &[],
        },
        python: venv.python(),
        scripts,
        certs,
        dir,
        cores: format!("0-{}", cores - 1),
    })
}

fn table(lines: &[Line]) -> String {
    let mut table = "through   cases    same  differ  asked again     time\n".to_owned();
    for line in lines {
        let differ = line.differences.len();
        table += &format!(
            "{:<8}{:>7}{:>8}{:>8}{:>13}{:>7.0} s\n",
            line.way.to_string(),
            line.cases,
            line.cases - differ,
            differ,
            line.asked_again,
            line.took.as_secs_f64()
        );
    }
    for line in lines {
        for (case, differences) in &line.differences {
            for difference in differences {
                table += &format!("{}, {case}: {difference}\n", line.way);
            }
        }
    }
    table
}

/// Everything but the masses (9, 12, 13); of the compressed ones the shortest of each kind.
const QUICK: &[&str] = &["[1-7].*", "9.7.1", "9.8.1", "10.*", "12.?.1", "13.?.1"];

/// Some cases only wait, and some keep the upstream busy while the timers of all run.
const JOBS: usize = 4;

/// At a time, for cases that are asked again.
const ONE: usize = 1;

/// How often a case that differs is asked again.
const REPEATS: usize = 2;

const PROGRAMS: &[(&str, &str)] = &[
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("setpriv", "util-linux"),
    ("taskset", "util-linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_differs() {
        let differences = BTreeMap::from([(
            "7.1.6".to_owned(),
            vec![Difference {
                seen_by: "upstream",
                what: "received code".to_owned(),
                direct: "1000".to_owned(),
                through: "1006".to_owned(),
            }],
        )]);
        let line = |way, differences| Line {
            way,
            took: Duration::from_secs(2),
            cases: 247,
            asked_again: 1,
            differences,
        };
        let lines = [
            line(Way::Plain, BTreeMap::new()),
            line(Way::Tls, differences),
        ];
        assert_eq!(
            table(&lines),
            "through   cases    same  differ  asked again     time\n\
             plain       247     247       0            1      2 s\n\
             tls         247     246       1            1      2 s\n\
             tls, 7.1.6: received code of the upstream: directly 1000, here 1006\n"
        );
    }
}
