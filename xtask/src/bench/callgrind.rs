//! Instructions, counted by valgrind's callgrind.
//!
//! The programs do their part: see `wsgate_bench`. Callgrind collects within one function of theirs
//! and dumps each time that returns, so the dumps are those of the benchmarks in divan's order.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::programs::Program;
use super::{Values, tree};
use crate::process;
use crate::workspace::Workspace;

/// Runs the benchmarks under callgrind: instructions of one operation each. The dumps stay, named
/// for their benchmarks, for `callgrind_annotate`.
pub(super) fn count(
    workspace: &Workspace,
    program: &Program,
    filters: &[String],
) -> Result<Values> {
    let Some(valgrind) = process::find("valgrind") else {
        bail!("valgrind is not installed: `cargo xtask setup`");
    };
    let dumps = workspace
        .target
        .join("bench/callgrind")
        .join(&program.package);
    if dumps.exists() {
        fs::remove_dir_all(&dumps).with_context(|| format!("cannot empty {}", dumps.display()))?;
    }
    fs::create_dir_all(&dumps).with_context(|| format!("cannot make {}", dumps.display()))?;
    crate::say(&format!("counting the instructions of {}", program.package));
    let mut command = Command::new(valgrind);
    command
        .current_dir(&program.folder)
        .env(COUNT, TIMES.to_string())
        .args(["--quiet", "--tool=callgrind"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!(
            "--callgrind-out-file={}",
            dumps.join(DUMP).display()
        ))
        .arg(&program.file)
        .arg("--test")
        .args(filters);
    let printed = process::read(command.stderr(Stdio::inherit()))?;
    totals(&printed, &dumps)
}

/// Brings the names that divan printed and the dumps together, and renames the dumps.
fn totals(printed: &str, dumps: &Path) -> Result<Values> {
    let leaves = tree::leaves(printed);
    let dump = |number: usize| dumps.join(format!("{DUMP}.{number}"));
    let mut values = Values::new();
    for (at, leaf) in leaves.iter().enumerate() {
        let file = dump(at + 1);
        let text = fs::read_to_string(&file).with_context(|| {
            let path = &leaf.path;
            format!("{path} left no dump, though {COUNTED} should have run for it")
        })?;
        let total = total(&text).with_context(|| format!("{} has no total", file.display()))?;
        values.insert(leaf.path.clone(), per_operation(total));
        let named = dumps.join(leaf.path.replace('/', "."));
        fs::rename(&file, &named).with_context(|| format!("cannot make {}", named.display()))?;
    }
    ensure!(
        !dump(leaves.len() + 1).exists(),
        "there are more dumps than benchmarks: {COUNTED} should run once for each"
    );
    Ok(values)
}

/// The instructions in a dump: `totals: 110906`.
fn total(dump: &str) -> Option<u64> {
    let mut lines = dump.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

const fn per_operation(total: u64) -> u64 {
    (total + TIMES / 2) / TIMES
}

/// How often each operation is repeated. Enough for what happens every now and then, a buffer that is
/// made anew for one.
const TIMES: u64 = 100;

/// The variable by which the programs know of it.
const COUNT: &str = "WSGATE_BENCH_COUNT";

/// The function in which callgrind collects.
const COUNTED: &str = "wsgate_bench::counted";

/// What the names of the dumps begin with; a dot and a number follow.
const DUMP: &str = "dump";

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "frame\n├─ one\n╰─ two\n   ╰─ 64\n";

    fn dumps(totals: &[u64]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (at, total) in totals.iter().enumerate() {
            let dump = format!(
                "# callgrind format\nevents: Ir\nsummary: {total}\n\nfn=(1) main\n16 3\n\ntotals: {total}\n"
            );
            fs::write(dir.path().join(format!("{DUMP}.{}", at + 1)), dump).unwrap();
        }
        dir
    }

    #[test]
    fn each_benchmark_has_the_dump_of_its_place() {
        let dir = dumps(&[12_300, 4_567]);
        let values = totals(TREE, dir.path()).unwrap();
        let expected = [("one".to_owned(), 123), ("two/64".to_owned(), 46)];
        assert_eq!(values, Values::from(expected));
        let renamed = fs::read_to_string(dir.path().join("two.64")).unwrap();
        assert_eq!(total(&renamed), Some(4_567));
    }

    #[test]
    fn a_benchmark_that_was_not_counted_is_an_error() {
        let error = totals(TREE, dumps(&[1]).path()).unwrap_err();
        assert!(
            error.to_string().starts_with("two/64 left no dump"),
            "{error}"
        );
    }

    #[test]
    fn a_benchmark_that_was_counted_twice_is_an_error() {
        let error = totals(TREE, dumps(&[1, 2, 3]).path()).unwrap_err();
        assert!(
            error.to_string().starts_with("there are more dumps"),
            "{error}"
        );
    }

    #[test]
    fn a_dump_without_a_total_is_none() {
        assert_eq!(total("events: Ir\nsummary: 5\n"), None);
        assert_eq!(total("totals: 5 \n"), Some(5));
    }
}
