//! The programs that the tests run, from Debian's packages.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Installs the packages of the programs that the tests run and that are missing.
///
/// # Errors
///
/// As [`install`].
pub(super) fn install_missing() -> Result<()> {
    install("the tests", &missing(is_there, python_makes_venvs()))
}

/// Installs the packages of these programs, a program and its package each, where one is missing; and
/// Python's `venv`.
///
/// # Errors
///
/// As [`install`].
pub(crate) fn install_programs(who: &str, programs: &[(&str, &'static str)]) -> Result<()> {
    install(who, &packages(programs, is_there, python_makes_venvs()))
}

/// Installs packages, on behalf of those who need them.
///
/// # Errors
///
/// When we may not install, or apt fails; the error says what to type.
fn install(who: &str, missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        missing.join(" ")
    );
    if process::find("apt-get").is_none() {
        let missing = missing.join(", ");
        bail!("{who} need programs that Debian has as {missing}; please install them");
    }
    if !is_root() {
        bail!("{who} need more programs; please run as root: {by_hand}");
    }
    let _no_services = NoServices::begin(Path::new(POLICY))?;
    let apt = || {
        let mut apt = Command::new("apt-get");
        // Somebody else's apt may be at work, the system's own updates for one.
        apt.args(["-qq", "-o", "DPkg::Lock::Timeout=600"]);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        apt
    };
    process::run(apt().arg("update"))
        .and_then(|()| {
            process::run(
                apt()
                    .args(["install", "--yes", "--no-install-recommends"])
                    .args(missing),
            )
        })
        .with_context(|| format!("cannot install what {who} need; try as root: {by_hand}"))
}

fn is_there(program: &str) -> bool {
    process::find(program).is_some()
}

/// The packages to install, given which programs are there.
fn missing(is_there: impl Fn(&str) -> bool, python_makes_venvs: bool) -> Vec<&'static str> {
    let mut packages = packages(PROGRAMS, is_there, python_makes_venvs);
    if !Path::new(FONT).exists() {
        packages.push("fonts-noto-core");
    }
    packages
}

fn packages(
    programs: &[(&str, &'static str)],
    is_there: impl Fn(&str) -> bool,
    python_makes_venvs: bool,
) -> Vec<&'static str> {
    let missing = programs.iter().filter(|(program, _)| !is_there(program));
    let mut packages: Vec<_> = missing.map(|(_, package)| *package).collect();
    if !python_makes_venvs {
        packages.push("python3-venv");
    }
    packages
}

/// Debian splits `venv` from Python; other installations have it built in.
fn python_makes_venvs() -> bool {
    process::find("python3").is_some_and(|python| {
        process::succeeds(Command::new(python).args(["-c", "import venv, ensurepip"]))
    })
}

fn is_root() -> bool {
    process::read(Command::new("id").arg("-u")).is_ok_and(|id| id.trim_end() == "0")
}

/// While it lives, packages start no services: Debian's nginx would take port 80, and the tests need
/// nothing but the program. (`invoke-rc.d` and systemd's helper both ask this file, and no other way.)
struct NoServices {
    /// `None` when the machine has a policy of its own, which then stands.
    ours: Option<PathBuf>,
}

// ===== impl NoServices =====

impl NoServices {
    fn begin(policy: &Path) -> Result<Self> {
        if policy.exists() {
            return Ok(Self { ours: None });
        }
        // 101: "action forbidden by policy".
        fs::write(policy, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(policy, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", policy.display()))?;
        Ok(Self {
            ours: Some(policy.to_owned()),
        })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(policy) = &self.ours
            && let Err(error) = fs::remove_file(policy)
        {
            crate::say(&format!("please remove {}: {error}", policy.display()));
        }
    }
}

/// What the tests run, and the package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("certutil", "libnss3-tools"),
    // Only the program: the package without `-base` is the service.
    ("dnsmasq", "dnsmasq-base"),
    ("faketime", "faketime"),
    ("haproxy", "haproxy"),
    // Network namespaces: `cargo xtask faults`.
    ("ip", "iproute2"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("unshare", "util-linux"),
    ("valgrind", "valgrind"),
];

/// Without a font the browser draws boxes. This one is what the chat's style sheet asks for on Linux,
/// and the picture in the README is of the browser's making.
const FONT: &str = "/usr/share/fonts/truetype/noto/NotoSerifDisplay-Regular.ttf";

const POLICY: &str = "/usr/sbin/policy-rc.d";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        let packages = missing(|program| !matches!(program, "chromedriver" | "nginx"), true);
        assert!(
            packages.starts_with(&["chromium-driver", "nginx-light"]),
            "{packages:?}"
        );
        assert!(!packages.contains(&"chromium"));
    }

    #[test]
    fn a_python_without_venv_gets_it() {
        assert!(missing(|_| true, false).contains(&"python3-venv"));
        assert!(!missing(|_| true, true).contains(&"python3-venv"));
    }

    #[test]
    fn services_are_forbidden_for_as_long_as_the_install_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        let no_services = NoServices::begin(&policy).unwrap();
        let status = Command::new(&policy)
            .args(["nginx", "start"])
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(101));
        drop(no_services);
        assert!(!policy.exists());
    }

    #[test]
    fn a_policy_of_the_machine_stands() {
        let dir = tempfile::tempdir().unwrap();
        let policy = dir.path().join("policy-rc.d");
        fs::write(&policy, "theirs").unwrap();
        drop(NoServices::begin(&policy).unwrap());
        assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");
    }
}
