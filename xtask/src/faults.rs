//! `cargo xtask faults`: three hosts in network namespaces, and a network between them that fails.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Plays these scenarios, all of them if none is named; the table of what they came to is on stdout.
pub(crate) fn run(workspace: &Workspace, words: &[String]) -> Result<()> {
    build(workspace)?;
    if let Some(missing) = missing(workspace)? {
        bail!("{missing}");
    }
    process::run(program(workspace).args(words))
}

/// Plays those that are soon over; returns why, if this machine cannot.
pub(crate) fn quick(workspace: &Workspace) -> Result<Option<String>> {
    build(workspace)?;
    if let Some(missing) = missing(workspace)? {
        return Ok(Some(format!("not run: {missing}")));
    }
    process::run(program(workspace).arg("--quick"))?;
    Ok(None)
}

/// The harness, and the gateway that it starts. With the features that `cargo xtask test` has built
/// all with, so that little is left to do.
fn build(workspace: &Workspace) -> Result<()> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.args(["build", "--workspace", "--all-features"]);
    process::run(cargo.args(["--bin", "wsgate", "--example", "faults"]))
}

fn missing(workspace: &Workspace) -> Result<Option<String>> {
    let missing = process::read(program(workspace).arg("--missing"))?;
    Ok((!missing.is_empty()).then_some(missing))
}

fn program(workspace: &Workspace) -> Command {
    Command::new(workspace.target.join("debug/examples/faults"))
}
