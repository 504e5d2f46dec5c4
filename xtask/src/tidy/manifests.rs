//! Every member has the workspace's lints, and the minimum Rust version is said once and is true.

use super::{Complaint, Source};
use crate::workspace::{Package, Workspace};

/// Looks at one file: lints, and a minimum Rust version where it does not belong.
pub(super) fn check(source: &Source) -> Vec<Complaint> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let mut complaints = Vec::new();
    // The root manifest is where both are defined. Fuzz packages and the comparison are workspaces of
    // their own.
    let root = name == "Cargo.toml" && source.lines().any(|(_, line)| line == "[workspace]");
    if root || source.path.contains("/fuzz/") {
        return complaints;
    }
    if name == "Cargo.toml" && !source.text.contains("[lints]\nworkspace = true\n") {
        complaints.push(source.complain(0, "has no `[lints]` with `workspace = true`"));
    }
    let versioned: fn(&str) -> bool = match name {
        "Cargo.toml" => |line| line.starts_with("rust-version = "),
        "clippy.toml" | ".clippy.toml" => |line| line.starts_with("msrv"),
        "rust-toolchain" | "rust-toolchain.toml" => |line| line.starts_with("channel"),
        // What changed from version to version is history, not a second source.
        "CHANGELOG.md" => |_| false,
        _ if name.ends_with(".md") => names_a_rust_version,
        _ => |_| false,
    };
    let twice = source.lines().filter(|(_, line)| versioned(line));
    let what = "the minimum Rust version stands in the root Cargo.toml and nowhere else";
    complaints.extend(twice.map(|(number, _)| source.complain(number, what)));
    complaints
}

/// Whether every member takes the workspace's minimum Rust version and every dependency can be built with it.
pub(super) fn minimum_rust(workspace: &Workspace, dependencies: &[Package]) -> Vec<Complaint> {
    let ours = workspace
        .packages
        .iter()
        .filter_map(|p| p.rust_version.as_deref())
        .max_by_key(|v| version(v));
    let Some(ours) = ours else {
        return vec![Complaint::new(
            "Cargo.toml",
            0,
            "names no minimum Rust version",
        )];
    };
    let unversioned = workspace
        .packages
        .iter()
        .filter(|package| package.rust_version.is_none());
    let unversioned = unversioned.map(|package| {
        let manifest = workspace.relative(&package.manifest_path).to_string_lossy();
        Complaint::new(&manifest, 0, "has no `rust-version.workspace = true`")
    });
    let newer = dependencies.iter().filter_map(|package| {
        let Package {
            name,
            version: theirs,
            rust_version,
            ..
        } = package;
        let needed = rust_version
            .as_deref()
            .filter(|needed| version(needed) > version(ours))?;
        let what = format!("{name} {theirs} needs Rust {needed}, but we promise {ours}");
        Some(Complaint::new("Cargo.lock", 0, what))
    });
    unversioned.chain(newer).collect()
}

/// `Rust 1.` followed by a digit.
fn names_a_rust_version(line: &str) -> bool {
    line.split("Rust 1.")
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The numbers of a version; one that is not there is 0, so that 1.88 is 1.88.0.
fn version(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{printed, source};

    const TWICE: &str = "the minimum Rust version stands in the root Cargo.toml and nowhere else";

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[String]) {
        assert_eq!(printed(super::check(&source(path, text))), expected);
    }

    #[test]
    fn members_have_the_lints_of_the_workspace() {
        check("crates/a/Cargo.toml", "[lints]\nworkspace = true\n", &[]);
        let complaint = "crates/a/Cargo.toml: has no `[lints]` with `workspace = true`";
        check(
            "crates/a/Cargo.toml",
            "[lints.rust]\n",
            &[complaint.to_owned()],
        );
        check("crates/a/fuzz/Cargo.toml", "[package]\n", &[]);
        check("tests/b/Cargo.toml", "[workspace]\n", &[]);
    }

    #[test]
    fn the_minimum_rust_version_is_said_once() {
        check("Cargo.toml", "[workspace]\nrust-version = \"1.88\"\n", &[]);
        check("CHANGELOG.md", "Now needs Rust 1.90.\n", &[]);
        check("README.md", "The Rust 1990s, in Rust.\n", &[]);
        for (path, line) in [
            ("README.md", "Needs Rust 1.88 or newer."),
            (".clippy.toml", "msrv = \"1.88\""),
            ("rust-toolchain.toml", "channel = \"1.88\""),
        ] {
            check(
                path,
                &format!("\n{line}\n"),
                &[format!("{path}:2: {TWICE}")],
            );
        }
        let manifest = "rust-version = \"1.88\"\n[lints]\nworkspace = true\n";
        check(
            "crates/a/Cargo.toml",
            manifest,
            &[format!("crates/a/Cargo.toml:1: {TWICE}")],
        );
    }

    fn package(name: &str, rust_version: Option<&str>) -> Package {
        Package {
            name: name.into(),
            version: "1.2.3".into(),
            manifest_path: format!("{name}/Cargo.toml").into(),
            rust_version: rust_version.map(Into::into),
            ..Package::default()
        }
    }

    #[test]
    fn a_dependency_that_is_too_new_is_named() {
        let workspace = Workspace {
            packages: vec![package("ours", Some("1.88")), package("forgotten", None)],
            root: "".into(),
            target: "target".into(),
        };
        let dependencies = [
            package("old", Some("1.56")),
            package("silent", None),
            package("same", Some("1.88.0")),
            package("new", Some("1.88.1")),
            package("newer", Some("1.100")),
        ];
        assert_eq!(
            printed(minimum_rust(&workspace, &dependencies)),
            [
                "forgotten/Cargo.toml: has no `rust-version.workspace = true`",
                "Cargo.lock: new 1.2.3 needs Rust 1.88.1, but we promise 1.88",
                "Cargo.lock: newer 1.2.3 needs Rust 1.100, but we promise 1.88",
            ]
        );
    }
}
