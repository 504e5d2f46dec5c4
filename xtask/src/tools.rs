//! Cargo's helpers that tasks run, each installed once into the target folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// The program, of exactly this version: a newer one may know new rules, and CI should not change by
/// itself.
pub(crate) fn installed(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let program = tools.join("bin").join(name);
    let present = process::read(Command::new(&program).arg("--version"));
    if present.is_ok_and(|present| present.trim_end() == format!("{name} {version}")) {
        return Ok(program);
    }
    crate::say(&format!("installing {name} once; this takes some minutes"));
    let mut cargo = process::cargo(&workspace.root);
    // Not optimised, which takes longer than all that they do.
    cargo.args(["install", "--quiet", "--locked", "--debug", name]);
    cargo.args(["--version", version, "--root"]);
    process::run(cargo.arg(&tools))?;
    Ok(program)
}
