//! `cargo xtask soak`: our gateway under mixed traffic for minutes, while clients, upstreams and its configuration come
//! and go.
//!
//! The crew is a program of `wsgate-tests`; this builds it and the gateway, and keeps the table that it ends with.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::setup::debian;
use crate::workspace::Workspace;

/// How long, and with what chance.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Minutes of traffic, the warm-up included.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// What all chance comes of; the traffic's timing is not repeated with it [default: the time of day].
    #[arg(long)]
    seed: Option<u64>,
    /// How many tunnels are open at a time.
    #[arg(long, default_value_t = 150)]
    tunnels: usize,
}

/// Soaks the program as it is released.
///
/// # Errors
///
/// When anything was lost, ended without a reason, or is left at the end.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let seed = args.seed.unwrap_or_else(time_of_day);
    let seconds = (args.minutes * 60.0).round() as u64;
    soak(workspace, "release", seconds, seed, args.tunnels)
}

/// Soaks the program that the tests have built, for seconds.
///
/// # Errors
///
/// As [`run`].
pub(crate) fn run_quick(workspace: &Workspace) -> Result<Option<String>> {
    soak(
        workspace,
        "debug",
        QUICK_SECONDS,
        time_of_day(),
        QUICK_TUNNELS,
    )?;
    let seconds = format!("{QUICK_SECONDS} s; cargo xtask soak takes ten minutes");
    Ok(Some(seconds))
}

fn soak(
    workspace: &Workspace,
    profile: &str,
    seconds: u64,
    seed: u64,
    tunnels: usize,
) -> Result<()> {
    debian::install_programs("the soak", &[("setpriv", "util-linux")])?;
    let mut wsgate = process::cargo(&workspace.root);
    wsgate.args(["build", "--locked", "--package", "wsgate-cli"]);
    // With all features, as the tests are built: not built again for this.
    wsgate.arg(match profile {
        "release" => "--release",
        _ => "--all-features",
    });
    process::run(&mut wsgate)?;
    let mut crew = process::cargo(&workspace.root);
    crew.args([
        "build",
        "--locked",
        "--package",
        "wsgate-tests",
        "--bin",
        "soak",
    ]);
    process::run(crew.arg("--all-features"))?;

    let dir = workspace.target.join("soak");
    let mut crew = Command::new(workspace.target.join("debug/soak"));
    crew.arg("crew");
    crew.arg(workspace.target.join(profile).join("wsgate"));
    crew.arg(&dir);
    crew.args([seconds, seed, tunnels as u64].map(|number| number.to_string()));
    let ended = crew.stderr(Stdio::inherit()).output();
    let ended = ended.context("cannot start the crew")?;
    let table = String::from_utf8_lossy(&ended.stdout);
    eprint!("\n{table}");
    let file = dir.join("soak.md");
    fs::write(&file, table.as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    crate::say(&format!("wrote {}", file.display()));
    if !ended.status.success() {
        bail!("the soak failed ({}), with --seed {seed}", ended.status);
    }
    Ok(())
}

fn time_of_day() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// With the rests round it, some 20 s.
const QUICK_SECONDS: u64 = 9;
const QUICK_TUNNELS: usize = 60;
