//! `cargo xtask bench`: how long operations take, how many instructions, and what an idle tunnel holds.
//!
//! - [`programs`] builds the benchmarks and [`tree`] reads what divan prints of them: the times;
//! - [`callgrind`] runs the same programs under valgrind: the instructions, which are the same on a
//!   busy machine as on a quiet one;
//! - [`baseline`] keeps results, [`table`] compares them;
//! - [`heap`] looks at the heap of a gateway.

mod baseline;
mod callgrind;
mod heap;
mod programs;
mod table;
mod tree;

use std::collections::BTreeMap;
use std::io::{self, Write};

use anyhow::{Context, Result};

use self::baseline::{Baseline, COMMITTED, Unit};
use crate::workspace::Workspace;

/// What to measure, and what to do with it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Count instructions (valgrind) in place of measuring times.
    #[arg(long)]
    count: bool,
    /// Keep the result under this name; `committed` is the one in the repository, of instructions.
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Compare the result with the one that was kept under this name.
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Show what a gateway allocates for a tunnel and holds while it is idle (valgrind).
    #[arg(long, conflicts_with_all = ["count", "save", "against", "packages", "filters"])]
    heap: bool,
    /// Run the benchmarks of this package only; may be repeated.
    #[arg(short, long = "package", value_name = "PACKAGE")]
    packages: Vec<String>,
    /// Run only benchmarks with one of these in their names.
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
}

/// Values by the path of a benchmark: `wsgate-proxy/relay/echo/64`.
type Values = BTreeMap<String, u64>;

/// Runs what is asked for.
///
/// # Errors
///
/// When something cannot be built or run, or a baseline cannot be read or written. That something has
/// become slower is none.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.heap {
        return heap::run(workspace);
    }
    let unit = if args.count {
        Unit::Instructions
    } else {
        Unit::Picoseconds
    };
    if let Some(name) = &args.save {
        baseline::check_name(name, unit, args.is_partial())?;
    }
    // Before the minutes that a measurement takes.
    let against = args.against.as_deref();
    let before = against.map(|name| Baseline::load(workspace, name, unit));
    let before = before.transpose()?;
    let now = measure(workspace, args, unit)?;

    if let Some(before) = &before {
        let (_, text) = compare(before, &now, against.unwrap_or_default(), args.is_partial());
        print(&text)?;
    } else if args.count {
        print(&table::list(&now.values))?;
    }
    if let Some(name) = &args.save {
        let file = now.save(workspace, name)?;
        crate::say(&format!("saved {}", workspace.relative(&file).display()));
    }
    Ok(())
}

/// The report of `cargo xtask ci`: a table, and what is to be said of it in one line.
///
/// # Errors
///
/// As [`run`]: that something has become slower is none.
pub(crate) fn report(workspace: &Workspace) -> Result<Option<String>> {
    let before = Baseline::load(workspace, COMMITTED, Unit::Instructions)?;
    let now = measure(workspace, &Args::default(), Unit::Instructions)?;
    let (summary, text) = compare(&before, &now, COMMITTED, false);
    print(&text)?;
    Ok(Some(summary))
}

fn measure(workspace: &Workspace, args: &Args, unit: Unit) -> Result<Baseline> {
    let mut values = Values::new();
    for program in programs::build(workspace, &args.packages)? {
        let measured = match unit {
            Unit::Instructions => callgrind::count(workspace, &program, &args.filters),
            Unit::Picoseconds => program.time(&args.filters),
        };
        let measured =
            measured.with_context(|| format!("the benchmarks of {}", program.package))?;
        let package = &program.package;
        values.extend(
            measured
                .into_iter()
                .map(|(path, n)| (format!("{package}/{path}"), n)),
        );
    }
    Baseline::new(unit, values)
}

/// The summary, and the table with all that has to be known to read it.
fn compare(before: &Baseline, now: &Baseline, name: &str, partial: bool) -> (String, String) {
    let rows = table::rows(&before.values, &now.values, now.unit, partial);
    let summary = table::summary(&rows, now.unit);
    let mut text = table::render(&rows, name, now.unit);
    if before.tools != now.tools {
        text += &format!(
            "{name} was made with {}, now it is {}\n",
            before.tools, now.tools
        );
    }
    (summary.clone(), text + &summary + "\n")
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .context("stdout is closed")
}

// ===== impl Args =====

impl Args {
    fn is_partial(&self) -> bool {
        !self.packages.is_empty() || !self.filters.is_empty()
    }
}
