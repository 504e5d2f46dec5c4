//! What cargo knows of the workspace: the part of `cargo metadata` that the tasks read.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The workspace and its packages, from `cargo metadata`.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    /// The members; with [`Workspace::dependencies`], everything they pull in as well.
    pub(crate) packages: Vec<Package>,
    /// The folder of the root manifest.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds; `CARGO_TARGET_DIR` moves it.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) rust_version: Option<String>,
    /// `None` for packages on disk, such as the members.
    pub(crate) source: Option<String>,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

// ===== impl Workspace =====

impl Workspace {
    /// The members, without touching the network.
    ///
    /// # Errors
    ///
    /// When a manifest cannot be read; cargo's own words are in the error.
    pub(crate) fn load() -> Result<Self> {
        // The folder of this very crate: the tasks work from anywhere. As cargo says it when it runs
        // us, for clones that share a target folder also share this program.
        let here = env::var("CARGO_MANIFEST_DIR");
        let here = here.unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        metadata(Path::new(&here), &["--no-deps"])
    }

    /// The members and all their dependencies, as Cargo.lock has them.
    ///
    /// # Errors
    ///
    /// As [`Workspace::load`], and when a dependency cannot be fetched.
    pub(crate) fn dependencies(&self) -> Result<Vec<Package>> {
        let mut packages = metadata(&self.root, &[])?.packages;
        packages.retain(|package| package.source.is_some());
        Ok(packages)
    }

    /// A path as one would say it from the root of the workspace.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    /// What the peers of the tests live in, beside cargo's own output.
    pub(crate) fn peers(&self) -> PathBuf {
        self.target.join("peers")
    }
}

fn metadata(folder: &Path, args: &[&str]) -> Result<Workspace> {
    let mut cargo = process::cargo(folder);
    cargo.args(["metadata", "--format-version=1"]).args(args);
    let json = process::read(&mut cargo)?;
    serde_json::from_str(&json).context("cargo metadata has changed its format")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_the_workspace_we_are_in() {
        let workspace = Workspace::load().unwrap();
        let xtask = workspace
            .packages
            .iter()
            .find(|p| p.name == "xtask")
            .unwrap();
        assert_eq!(
            workspace.relative(&xtask.manifest_path),
            Path::new("xtask/Cargo.toml")
        );
    }
}
