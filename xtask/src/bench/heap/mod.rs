//! `cargo xtask bench --heap`: what a gateway allocates for a tunnel, and holds while it is idle.
//!
//! `tests/heap` opens tunnels through a gateway that runs under valgrind's DHAT. Two profiles, of
//! [`FEW`] tunnels and of [`MANY`], are subtracted: what a process has once, however many tunnels
//! there are, falls out, and each thing that grows with them is divided by how many more there were.

mod backtrace;
mod growth;
mod profile;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use self::profile::Profile;
use super::programs::{self, Program};
use crate::process;
use crate::workspace::Workspace;

/// Profiles each scenario and prints its table. The profiles stay, for DHAT's own viewer.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("bench/heap");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let programs = programs::build_targets(workspace, &["wsgate-tests"])?;
    let program = programs.first().context("wsgate-tests has no benchmark")?;
    for (scenario, title) in SCENARIOS {
        let profile = |tunnels| profile(program, scenario, tunnels, &folder);
        let (few, many) = (profile(FEW)?, profile(MANY)?);
        let table = growth::table(&growth::rows(&few, &many, MANY - FEW));
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{title}\n{table}").context("stdout is closed")?;
    }
    Ok(())
}

fn profile(program: &Program, scenario: &str, tunnels: u32, folder: &Path) -> Result<Profile> {
    let file = folder.join(format!("{scenario}-{tunnels}.json"));
    let mut command = Command::new(&program.file);
    command
        .current_dir(&program.folder)
        .args([scenario, &tunnels.to_string()])
        .arg(&file)
        .arg("--bench");
    process::run(&mut command)?;
    Profile::load(&file)
}

/// As `tests/heap` calls them, and as we do.
const SCENARIOS: [(&str, &str); 4] = [
    ("http1", "An idle tunnel: wss over HTTP/1.1 in, ws out"),
    (
        "http2",
        "An idle tunnel: one of 100 on a connection of HTTP/2",
    ),
    (
        "shared",
        "An idle tunnel: wss over HTTP/1.1 in, one of 100 on a connection of HTTP/2 out",
    ),
    (
        "layers",
        "An idle tunnel: as the first, with a keepalive, a read timeout and an observer that logs",
    ),
];

/// A whole connection of HTTP/2.
const FEW: u32 = 100;

/// Two connections more.
const MANY: u32 = 300;
