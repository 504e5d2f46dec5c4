//! `cargo xtask bench`: the benchmarks of the crates that have some.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Runs `cargo bench` for the packages with benchmarks; `args` go to cargo as they are.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let mut cargo = process::cargo(&workspace.root);
    // Only the bench targets: `cargo bench` would also run every unit test in bench mode.
    cargo.args(["bench", "--benches"]);
    let chosen = args
        .iter()
        .any(|arg| arg == "-p" || arg.starts_with("--package"));
    if !chosen {
        let benched = workspace.packages.iter().filter(|p| p.has_target("bench"));
        cargo.args(benched.flat_map(|package| ["--package", &package.name]));
    }
    process::run(cargo.args(args))
}
