//! `cargo xtask deny`: cargo-deny over the dependencies, by the rules in `deny.toml`.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{process, tools};

/// Checks licences, bans and sources, and advisories if their database can be fetched. Returns what
/// was left unchecked, in plain words.
pub(crate) fn run(workspace: &Workspace) -> Result<Option<String>> {
    let program = tools::installed(workspace, "cargo-deny", VERSION)?;
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

const VERSION: &str = "0.20.2";
