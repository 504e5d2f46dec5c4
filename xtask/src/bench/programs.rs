//! The programs that the benchmarks are built into.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{Values, tree};
use crate::process;
use crate::workspace::{Package, Workspace};

/// The benchmarks of a package.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) package: String,
    /// Where cargo would run it.
    pub(super) folder: PathBuf,
    pub(super) file: PathBuf,
}

/// Builds the benchmarks that go by `wsgate_bench`: of these packages, or of all.
pub(super) fn build(workspace: &Workspace, packages: &[String]) -> Result<Vec<Program>> {
    let is_ours = |package: &&Package| package.dependencies.iter().any(|d| d.name == RUNNER);
    let ours = workspace.packages.iter().filter(is_ours);
    let ours: Vec<_> = ours.map(|package| package.name.as_str()).collect();
    if let Some(other) = packages.iter().find(|p| !ours.contains(&p.as_str())) {
        anyhow::bail!("{other} has no benchmarks; these have: {}", ours.join(", "));
    }
    let chosen = |name: &&str| packages.is_empty() || packages.iter().any(|p| p == name);
    let chosen: Vec<_> = ours.into_iter().filter(chosen).collect();
    build_targets(workspace, &chosen)
}

/// Builds all bench targets of these packages, as `cargo bench` does.
pub(super) fn build_targets(workspace: &Workspace, packages: &[&str]) -> Result<Vec<Program>> {
    let mut cargo = process::cargo(&workspace.root);
    // Only the bench targets: `cargo bench` would also build every unit test in bench mode.
    cargo.args(["bench", "--benches", "--no-run"]);
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    let messages = process::read(cargo.stderr(Stdio::inherit()))?;
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message: Message =
            serde_json::from_str(line).context("cargo has changed its messages")?;
        programs.extend(message.program(workspace));
    }
    programs.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(programs)
}

// ===== impl Program =====

impl Program {
    /// Runs the benchmarks for their times, showing what divan prints.
    pub(super) fn time(&self, filters: &[String]) -> Result<Values> {
        let mut command = Command::new(&self.file);
        command.current_dir(&self.folder).arg("--bench");
        let printed = read_aloud(command.args(filters))?;
        let leaves = tree::leaves(&printed);
        let timed = leaves
            .into_iter()
            .filter_map(|leaf| Some((leaf.path, leaf.fastest?)));
        Ok(timed.collect())
    }
}

/// Runs a command whose output both we and the user read.
fn read_aloud(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).to_owned();
    let cannot = || format!("cannot run {}", program.display());
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(cannot)?;
    let stdout = child.stdout.take().expect("it is a pipe");
    let mut printed = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.with_context(cannot)?;
        writeln!(std::io::stdout(), "{line}").context("stdout is closed")?;
        printed += &line;
        printed.push('\n');
    }
    let status = child.wait().with_context(cannot)?;
    ensure!(status.success(), "{} failed ({status})", program.display());
    Ok(printed)
}

/// What cargo says of each thing it has built; the part that we read.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    manifest_path: PathBuf,
    executable: Option<PathBuf>,
}

// ===== impl Message =====

impl Message {
    fn program(self, workspace: &Workspace) -> Option<Program> {
        let mut packages = workspace.packages.iter();
        let package = packages.find(|package| package.manifest_path == self.manifest_path)?;
        Some(Program {
            package: package.name.clone(),
            folder: self.manifest_path.parent()?.to_owned(),
            file: self.executable?,
        })
    }
}

/// The package by which benchmarks run their operations.
const RUNNER: &str = "wsgate-bench";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_with_an_executable_of_ours_name_a_program() {
        let package = Package {
            name: "ours".to_owned(),
            manifest_path: "/w/ours/Cargo.toml".into(),
            ..Package::default()
        };
        let workspace = Workspace {
            packages: vec![package],
            root: "/w".into(),
            target: "/w/target".into(),
        };
        let program = |json: &str| {
            let message: Message = serde_json::from_str(json).unwrap();
            message.program(&workspace)
        };
        let found = program(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/ours/Cargo.toml","executable":"/w/target/x"}"#,
        );
        let found = found.unwrap();
        assert_eq!(found.package, "ours");
        assert_eq!(found.folder, Path::new("/w/ours"));
        assert_eq!(found.file, Path::new("/w/target/x"));
        for other in [
            r#"{"reason":"compiler-artifact","manifest_path":"/w/ours/Cargo.toml","executable":null}"#,
            r#"{"reason":"compiler-artifact","manifest_path":"/r/theirs/Cargo.toml","executable":"/x"}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ] {
            assert!(program(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_package_without_benchmarks_is_refused() {
        let workspace = Workspace::load().unwrap();
        let error = build(&workspace, &["xtask".to_owned()]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("xtask has no benchmarks; these have: "),
            "{error}"
        );
    }
}
