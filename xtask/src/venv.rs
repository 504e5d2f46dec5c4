//! Python's packages, of exact versions, in a place of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// A virtual environment in the target folder, and the list of what is in it.
#[derive(Debug)]
pub(crate) struct Venv {
    requirements: PathBuf,
    folder: PathBuf,
}

// ===== impl Venv =====

impl Venv {
    /// One in `folder` that has what the file `requirements` lists.
    pub(crate) fn new(requirements: &Path, folder: &Path) -> Self {
        Self {
            requirements: requirements.to_owned(),
            folder: folder.to_owned(),
        }
    }

    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Installs what is missing; when nothing is, nobody is asked.
    ///
    /// # Errors
    ///
    /// When Python is missing, or what PyPI would have to send.
    pub(crate) fn install(&self) -> Result<()> {
        let wanted = fs::read_to_string(&self.requirements)
            .with_context(|| format!("cannot read {}", self.requirements.display()))?;
        let stamp = self.folder.join("stamp");
        let is_there = fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted);
        if is_there && self.python().is_file() {
            return Ok(());
        }
        let system = process::find("python3").context("python3 is not on the PATH")?;
        let mut venv = Command::new(system);
        process::run(venv.args(["-m", "venv", "--clear"]).arg(&self.folder))?;
        let mut pip = Command::new(self.python());
        pip.args(["-m", "pip", "install", "--quiet"]);
        pip.args(["--disable-pip-version-check", "--requirement"]);
        process::run(pip.arg(&self.requirements))?;
        // Last, so that an install that broke off half-way is done again.
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_installed_again() {
        let dir = tempfile::tempdir().unwrap();
        let requirements = dir.path().join("requirements.txt");
        fs::write(&requirements, "no-such-package-anywhere==1\n").unwrap();
        let venv = Venv::new(&requirements, &dir.path().join("venv"));
        fs::create_dir_all(dir.path().join("venv/bin")).unwrap();
        fs::write(venv.python(), "not a program").unwrap();
        fs::copy(&requirements, dir.path().join("venv/stamp")).unwrap();
        venv.install().unwrap();
    }
}
