//! `cargo xtask ci`: everything that a change must pass, in the order of what fails soonest.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{autobahn, bench, deny, faults, features, fuzz, process, setup, soak, test, tidy};

/// One line of the table at the end.
struct Step {
    name: &'static str,
    /// What to type to run this step by itself, or to mend what it found.
    again: &'static str,
    /// Returns what was left unchecked, in plain words.
    run: fn(&Workspace) -> Result<Option<String>>,
}

struct Finished {
    name: &'static str,
    took: Duration,
    note: Option<String>,
}

/// Runs the steps, says how long each took, and stops at the first that fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut finished = Vec::new();
    let outcome = STEPS.iter().try_for_each(|step| {
        crate::say(&format!("===== {} =====", step.name));
        let started = now();
        let note = (step.run)(workspace).with_context(|| {
            format!(
                "CI stopped at {:?}; when mended, try `{}`",
                step.name, step.again
            )
        })?;
        let took = now() - started;
        crate::say(&format!("{}: {:.1} s", step.name, took.as_secs_f64()));
        finished.push(Finished {
            name: step.name,
            took,
            note,
        });
        Ok(())
    });
    eprint!("\n{}", table(&finished));
    outcome
}

fn table(finished: &[Finished]) -> String {
    let total = finished.iter().map(|step| step.took).sum();
    let line = |name: &str, took: Duration, note: &str| {
        let line = format!("{name:<22}{:>8.1} s  {note}", took.as_secs_f64());
        line.trim_end().to_owned() + "\n"
    };
    let mut table = String::new();
    for Finished { name, took, note } in finished {
        table += &line(name, *took, note.as_deref().unwrap_or_default());
    }
    table + &line("total", total, "")
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures programs that run in real time"
)]
fn now() -> Instant {
    Instant::now()
}

fn fmt(workspace: &Workspace) -> Result<Option<String>> {
    process::run(process::cargo(&workspace.root).args(["fmt", "--all", "--check"]))?;
    Ok(None)
}

fn clippy(workspace: &Workspace) -> Result<Option<String>> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ]);
    process::run(&mut cargo)?;
    Ok(None)
}

fn docs(workspace: &Workspace) -> Result<Option<String>> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.env("RUSTDOCFLAGS", "--deny warnings");
    process::run(cargo.args(["doc", "--workspace", "--all-features", "--no-deps"]))?;
    Ok(None)
}

/// A few seconds of each fuzz target: that they still build and find nothing at once.
fn fuzz_smoke(workspace: &Workspace) -> Result<Option<String>> {
    fuzz::check(workspace)?;
    fuzz::smoke(workspace)?;
    Ok(None)
}

const STEPS: &[Step] = &[
    Step {
        name: "setup",
        again: "cargo xtask setup",
        run: |workspace| setup::run(workspace).map(|()| None),
    },
    Step {
        name: "format",
        again: "cargo fmt",
        run: fmt,
    },
    Step {
        name: "tidy",
        again: "cargo xtask tidy",
        run: |workspace| tidy::run(workspace).map(|()| None),
    },
    Step {
        name: "clippy",
        again: "cargo clippy --workspace --all-targets --all-features -- --deny warnings",
        run: clippy,
    },
    Step {
        name: "features",
        again: "cargo xtask features",
        run: |workspace| features::run(workspace).map(|()| None),
    },
    Step {
        name: "tests",
        again: "cargo test --workspace --all-targets --all-features",
        run: |workspace| test::all_targets(workspace).map(|()| None),
    },
    Step {
        name: "tests, tokio-rustls",
        again: "WSGATE_TESTS_BY_TOKIO_RUSTLS=1 cargo test --package wsgate-tests --all-features",
        run: |workspace| test::over_tokio_rustls(workspace).map(|()| None),
    },
    Step {
        name: "faults",
        again: "cargo xtask faults",
        run: faults::quick,
    },
    Step {
        name: "doc tests",
        again: "cargo test --workspace --doc --all-features",
        run: |workspace| test::doc_tests(workspace).map(|()| None),
    },
    Step {
        name: "documentation",
        again: "RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --all-features --no-deps",
        run: docs,
    },
    Step {
        name: "dependencies",
        again: "cargo xtask deny",
        run: deny::run,
    },
    Step {
        name: "autobahn, the quick",
        again: "cargo xtask autobahn",
        run: autobahn::run_quick,
    },
    Step {
        name: "soak, seconds of it",
        again: "cargo xtask soak --minutes 1",
        run: soak::run_quick,
    },
    Step {
        name: "fuzz smoke",
        again: "cargo xtask fuzz --seconds 3",
        run: fuzz_smoke,
    },
    // The last, as it is a report: it fails only where benchmarks do not run.
    Step {
        name: "benchmarks",
        again: "cargo xtask bench --count --against committed",
        run: bench::report,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_a_step_and_the_sum() {
        let finished = [
            Finished {
                name: "tests",
                took: Duration::from_millis(61_250),
                note: None,
            },
            Finished {
                name: "dependencies",
                took: Duration::from_millis(1_000),
                note: Some("advisories not checked".to_owned()),
            },
        ];
        assert_eq!(
            table(&finished),
            "tests                     61.2 s\n\
             dependencies               1.0 s  advisories not checked\n\
             total                     62.2 s\n"
        );
    }
}
