//! `cargo xtask setup`: what the tests need from the registries, installed when it is missing.
//!
//! Programs come from Debian, Node's and Python's WebSockets from npm and PyPI by the lock files
//! under `tests/peers`. When all is there this takes a fraction of a second and no network.

pub(crate) mod debian;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Installs what is missing.
///
/// # Errors
///
/// When something is missing and cannot be installed from here; the error says what to type.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    debian::install_missing()?;
    let peers = Peers::of(workspace);
    if peers.ready() {
        return Ok(());
    }
    peers.install()
}

/// The modules of the WebSocket peers that are written in other languages.
struct Peers {
    /// Holds package.json; Node looks for modules beside the script that imports them.
    node: PathBuf,
    requirements: PathBuf,
    venv: PathBuf,
    /// Holds what the lock files said when we last installed, whole: a different word is a different install.
    stamp: PathBuf,
}

// ===== impl Peers =====

impl Peers {
    fn of(workspace: &Workspace) -> Self {
        let sources = workspace.root.join("tests/peers");
        Self {
            node: sources.join("node"),
            requirements: sources.join("python/requirements.txt"),
            venv: workspace.peers().join("venv"),
            stamp: workspace.peers().join("stamp"),
        }
    }

    /// Whether the stamp is that of these lock files and what it stands for is still there.
    fn ready(&self) -> bool {
        let stamped = fs::read_to_string(&self.stamp);
        let current = stamped.is_ok_and(|stamp| self.locks().is_ok_and(|locks| locks == stamp));
        current && self.node.join("node_modules/ws").is_dir() && self.venv_python().is_file()
    }

    fn install(&self) -> Result<()> {
        let mut npm = Command::new("npm");
        npm.current_dir(&self.node);
        process::run(npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]))?;

        let python = process::find("python3").context("python3 is not on the PATH")?;
        process::run(
            Command::new(python)
                .args(["-m", "venv", "--clear"])
                .arg(&self.venv),
        )?;
        let mut pip = Command::new(self.venv_python());
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        process::run(pip.arg(&self.requirements))?;

        // Last, so that an install that broke off half-way is done again.
        fs::write(&self.stamp, self.locks()?)
            .with_context(|| format!("cannot write {}", self.stamp.display()))
    }

    fn locks(&self) -> Result<String> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(read(&self.node.join("package-lock.json"))? + &read(&self.requirements)?)
    }

    fn venv_python(&self) -> PathBuf {
        self.venv.join("bin/python")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peers in `dir` as they are after an install.
    fn installed(dir: &Path) -> Peers {
        let peers = Peers {
            node: dir.join("node"),
            requirements: dir.join("requirements.txt"),
            venv: dir.join("venv"),
            stamp: dir.join("stamp"),
        };
        fs::create_dir_all(peers.node.join("node_modules/ws")).unwrap();
        fs::create_dir_all(peers.venv.join("bin")).unwrap();
        fs::write(peers.venv_python(), "").unwrap();
        fs::write(peers.node.join("package-lock.json"), "ws 1").unwrap();
        fs::write(&peers.requirements, "websockets 1").unwrap();
        fs::write(&peers.stamp, peers.locks().unwrap()).unwrap();
        assert!(peers.ready());
        peers
    }

    #[test]
    fn a_changed_lock_file_calls_for_an_install() {
        let dir = tempfile::tempdir().unwrap();
        let peers = installed(dir.path());
        fs::write(&peers.requirements, "websockets 2").unwrap();
        assert!(!peers.ready());
    }

    #[test]
    fn a_missing_stamp_calls_for_an_install() {
        let dir = tempfile::tempdir().unwrap();
        let peers = installed(dir.path());
        fs::remove_file(&peers.stamp).unwrap();
        assert!(!peers.ready());
    }

    #[test]
    fn a_stamp_without_the_modules_calls_for_an_install() {
        let dir = tempfile::tempdir().unwrap();
        let peers = installed(dir.path());
        fs::remove_dir_all(peers.node.join("node_modules")).unwrap();
        assert!(!peers.ready());
    }
}
