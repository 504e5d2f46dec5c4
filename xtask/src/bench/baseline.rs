//! Results that are kept, one file each.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::Values;
use crate::process;
use crate::workspace::Workspace;

/// What was measured, and with what.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Baseline {
    pub(super) unit: Unit,
    /// The compiler, and valgrind where it counted. Another compiler makes other instructions.
    pub(super) tools: String,
    pub(super) values: Values,
}

/// Of one operation.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Instructions,
    Picoseconds,
}

/// The name of the baseline that lies in the repository.
pub(super) const COMMITTED: &str = "committed";

// ===== impl Baseline =====

impl Baseline {
    /// What these tools have measured just now.
    pub(super) fn new(unit: Unit, values: Values) -> Result<Self> {
        let version = |program: &str| process::read(Command::new(program).arg("--version"));
        let mut tools = version("rustc")?.trim_end().to_owned();
        if unit == Unit::Instructions {
            tools = format!("{tools}, {}", version("valgrind")?.trim_end());
        }
        Ok(Self {
            unit,
            tools,
            values,
        })
    }

    pub(super) fn load(workspace: &Workspace, name: &str, unit: Unit) -> Result<Self> {
        let file = file(workspace, name, unit);
        let json = fs::read_to_string(&file).with_context(|| {
            format!("there is no baseline {name:?} of {unit}; `--save {name}` makes one")
        })?;
        let baseline: Self = serde_json::from_str(&json)
            .with_context(|| format!("{} is no baseline", file.display()))?;
        ensure!(
            baseline.unit == unit,
            "{name:?} is a baseline of {}, not of {unit}",
            baseline.unit
        );
        Ok(baseline)
    }

    /// Writes the file, and returns where it is.
    pub(super) fn save(&self, workspace: &Workspace, name: &str) -> Result<PathBuf> {
        let file = file(workspace, name, self.unit);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let json = serde_json::to_string_pretty(self)?;
        fs::write(&file, json + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }
}

/// Whether a result may be kept under this name: to be known before it is measured.
pub(super) fn check_name(name: &str, unit: Unit, partial: bool) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure!(
        !name.is_empty() && name.chars().all(plain),
        "a baseline's name has only letters, digits, `-`, `_` and `.`"
    );
    if name == COMMITTED {
        if unit != Unit::Instructions {
            bail!("times are this machine's own and not committed: add `--count`");
        }
        ensure!(!partial, "the committed baseline has all benchmarks");
    }
    Ok(())
}

fn file(workspace: &Workspace, name: &str, unit: Unit) -> PathBuf {
    match (name, unit) {
        (COMMITTED, Unit::Instructions) => workspace.root.join("tests/bench/baseline.json"),
        _ => workspace.target.join(format!("bench/{name}.{unit}.json")),
    }
}

// ===== impl Unit =====

impl Unit {
    /// How much a value may differ before that means something. Instructions differ by the seeds of
    /// hash maps and random numbers; times by all else that a machine does.
    pub(super) const fn tolerance(self) -> f64 {
        match self {
            Self::Instructions => 0.02,
            Self::Picoseconds => 0.1,
        }
    }

    /// A value for people.
    pub(super) fn show(self, value: u64) -> String {
        match self {
            Self::Instructions => value.to_string(),
            Self::Picoseconds => {
                #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
                let ns = value as f64 / 1e3;
                match ns {
                    1e6.. => format!("{:.2} ms", ns / 1e6),
                    1e3.. => format!("{:.2} µs", ns / 1e3),
                    _ => format!("{ns:.2} ns"),
                }
            }
        }
    }
}

impl std::fmt::Display for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Instructions => "instructions",
            Self::Picoseconds => "times",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn workspace(dir: &Path) -> Workspace {
        Workspace {
            packages: Vec::new(),
            root: dir.join("root"),
            target: dir.join("target"),
        }
    }

    fn baseline(unit: Unit) -> Baseline {
        Baseline {
            unit,
            tools: "rustc 1".to_owned(),
            values: Values::from([("a/b".to_owned(), 12)]),
        }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = workspace(dir.path());
        for (name, unit, place) in [
            (
                COMMITTED,
                Unit::Instructions,
                "root/tests/bench/baseline.json",
            ),
            ("a", Unit::Instructions, "target/bench/a.instructions.json"),
            ("a", Unit::Picoseconds, "target/bench/a.times.json"),
        ] {
            let file = baseline(unit).save(&workspace, name).unwrap();
            assert_eq!(file, dir.path().join(place));
            let loaded = Baseline::load(&workspace, name, unit).unwrap();
            assert_eq!(loaded.values, baseline(unit).values);
        }
    }

    #[test]
    fn a_baseline_that_is_missing_says_how_to_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = Baseline::load(&workspace(dir.path()), "before", Unit::Picoseconds);
        assert_eq!(
            error.unwrap_err().to_string(),
            "there is no baseline \"before\" of times; `--save before` makes one"
        );
    }

    #[test]
    fn names_are_checked_before_anything_is_measured() {
        #[track_caller]
        fn check(name: &str, unit: Unit, partial: bool, allowed: bool) {
            assert_eq!(check_name(name, unit, partial).is_ok(), allowed);
        }
        check("before", Unit::Picoseconds, true, true);
        check(COMMITTED, Unit::Instructions, false, true);
        check(COMMITTED, Unit::Picoseconds, false, false);
        check(COMMITTED, Unit::Instructions, true, false);
        check("../elsewhere", Unit::Instructions, false, false);
        check("", Unit::Instructions, false, false);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let show = |value| Unit::Picoseconds.show(value);
        assert_eq!(show(850), "0.85 ns");
        assert_eq!(show(1_234_000), "1.23 µs");
        assert_eq!(show(98_765_000_000), "98.77 ms");
        assert_eq!(Unit::Instructions.show(4711), "4711");
    }
}
