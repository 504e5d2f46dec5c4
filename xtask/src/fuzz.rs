//! `cargo xtask fuzz`: the fuzz targets, each for a number of seconds.
//!
//! The bodies of the targets are plain functions that ordinary tests call too; this is the long run.
//! The fuzz package is no member of the workspace: it needs the nightly toolchain.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{process, tools};

/// Runs every target of every fuzz package for `seconds` seconds.
pub(crate) fn run(workspace: &Workspace, seconds: u32) -> Result<()> {
    if let Some(missing) = missing() {
        bail!("{missing}");
    }
    let program = tools::installed(workspace, "cargo-fuzz", VERSION)?;
    for package in packages(workspace) {
        // cargo-fuzz runs inside the fuzzed crate, the parent of the fuzz package.
        let cargo_fuzz = |args: &[&str]| {
            let mut cargo = Command::new("rustup");
            cargo.args(["run", "nightly"]).arg(&program).args(args);
            // Set by the cargo that runs us, it would put the stable toolchain before nightly.
            cargo.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
            cargo.current_dir(&package);
            cargo
        };
        for target in process::read(&mut cargo_fuzz(&["list"]))?.lines() {
            let time = format!("-max_total_time={seconds}");
            process::run(&mut cargo_fuzz(&["run", target, "--", &time]))?;
        }
    }
    Ok(())
}

/// Holds the targets to the rules for all other code, on whatever toolchain there is, so that they
/// do not rot where they cannot run.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    for package in packages(workspace) {
        let mut cargo = process::cargo(&package.join("fuzz"));
        cargo.args(["clippy", "--quiet", "--target-dir"]);
        cargo.arg(workspace.target.join("fuzz"));
        process::run(cargo.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// What must be installed first, as a sentence that says how; `None` when all is there.
pub(crate) fn missing() -> Option<&'static str> {
    let mut nightly = Command::new("cargo");
    nightly
        .args(["+nightly", "--version"])
        .env_remove("RUSTUP_TOOLCHAIN");
    if !process::succeeds(&mut nightly) {
        return Some("fuzzing needs the nightly toolchain: `rustup toolchain install nightly`");
    }
    None
}

/// The crates that have a fuzz package beneath them.
fn packages(workspace: &Workspace) -> Vec<PathBuf> {
    let manifests = workspace.packages.iter().map(|p| &p.manifest_path);
    let folders = manifests.filter_map(|manifest| manifest.parent());
    let fuzzed = folders.filter(|folder| folder.join("fuzz/Cargo.toml").is_file());
    fuzzed.map(ToOwned::to_owned).collect()
}

const VERSION: &str = "0.13.2";
