//! `cargo xtask deny`: cargo-deny over the dependencies, by the rules in `deny.toml`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// Checks licences, bans and sources, and advisories if their database can be fetched. Returns what
/// was left unchecked, in plain words.
pub(crate) fn run(workspace: &Workspace) -> Result<Option<String>> {
    let program = installed(workspace)?;
    let deny = |args: &[&str]| {
        let mut deny = Command::new(&program);
        deny.current_dir(&workspace.root).args(args);
        deny
    };
    // Not the graph below every warning: `cargo tree --invert` tells who brings a duplicate.
    let check = [
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ];
    process::run(&mut deny(&check))?;
    // The database is a git repository: without the network, or behind a proxy that has only the
    // registries, there is no telling, and a red build would say something that nobody found.
    if process::read(&mut deny(&["fetch", "db"])).is_err() {
        return Ok(Some(
            "advisories not checked: their database could not be fetched".to_owned(),
        ));
    }
    process::run(&mut deny(&["check", "advisories"]))?;
    Ok(None)
}

/// The program, of exactly [`VERSION`]: a newer one may know new rules, and CI should not change by itself.
fn installed(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.target.join("tools");
    let program = tools.join("bin/cargo-deny");
    let version = process::read(Command::new(&program).arg("--version"));
    if version.is_ok_and(|version| version.trim_end() == format!("cargo-deny {VERSION}")) {
        return Ok(program);
    }
    crate::say("installing cargo-deny once; this takes some minutes");
    let mut cargo = process::cargo(&workspace.root);
    cargo.args([
        "install",
        "--quiet",
        "--locked",
        "cargo-deny",
        "--version",
        VERSION,
        "--root",
    ]);
    process::run(cargo.arg(&tools))?;
    Ok(program)
}

const VERSION: &str = "0.20.2";
