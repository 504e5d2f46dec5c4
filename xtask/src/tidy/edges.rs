//! The arrows between our crates, as ARCHITECTURE.md draws them.

use super::Complaint;
use crate::workspace::{Package, Workspace};

/// Compares every edge between two members, tests' and build scripts' included, with [`ALLOWED`].
pub(super) fn check(workspace: &Workspace) -> Vec<Complaint> {
    let members: Vec<_> = workspace.packages.iter().map(|p| p.name.as_str()).collect();
    workspace
        .packages
        .iter()
        .flat_map(|package| {
            let manifest = workspace.relative(&package.manifest_path).to_string_lossy();
            let found = check_package(package, &manifest, &members);
            found
                .into_iter()
                .map(move |what| Complaint::new(&manifest, 0, what))
        })
        .collect()
}

fn check_package(package: &Package, manifest: &str, members: &[&str]) -> Vec<String> {
    let name = package.name.as_str();
    let allowed = if manifest.starts_with("examples/") {
        EXAMPLES
    } else if let Some((_, allowed)) = ALLOWED.iter().find(|(member, _)| *member == name) {
        allowed
    } else {
        let this = file!();
        return vec![format!(
            "{name} is new: say in {this} which of our crates it may use"
        )];
    };

    let mut complaints = Vec::new();
    for dependency in &package.dependencies {
        let other = dependency.name.as_str();
        let is_dev = dependency.kind.as_deref() == Some("dev");
        if [FOR_BENCHMARKS, FOR_SEEDS].contains(&other) && is_dev {
            continue;
        }
        if members.contains(&other) && !allowed.contains(&other) {
            complaints.push(format!(
                "{name} must not depend on {other}: {}",
                may(allowed)
            ));
        } else if INDEPENDENT.contains(&name) && !is_dev {
            complaints.push(format!(
                "{name} has no dependency at all, so it cannot have {other}"
            ));
        }
    }
    complaints
}

fn may(allowed: &[&str]) -> String {
    match allowed {
        [] => "it may use none of our crates".to_owned(),
        _ => format!("of our crates it may use {}", allowed.join(", ")),
    }
}

/// A member and the members it may depend on. Arrows point down only.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "wsgate-tests",
        &[
            "wsgate",
            "wsgate-frame",
            "wsgate-layer",
            "wsgate-proxy",
            "wsgate-server",
        ],
    ),
    ("wsgate-cli", &["wsgate"]),
    ("wsgate", &["wsgate-layer", "wsgate-proxy", "wsgate-server"]),
    (
        "wsgate-proxy",
        &["wsgate-layer", "wsgate-frame", "wsgate-tls"],
    ),
    ("wsgate-layer", &["wsgate-frame", "wsgate-tls"]),
    ("wsgate-server", &["wsgate-tls"]),
    ("wsgate-tls", &[]),
    ("wsgate-frame", &[]),
    ("wsgate-bench", &[]),
    ("wsgate-seeds", &[]),
    ("xtask", &[]),
];

/// Examples show what users write, and users name one crate.
const EXAMPLES: &[&str] = &["wsgate"];

/// What everyone's benchmarks run by, and nothing else may use.
const FOR_BENCHMARKS: &str = "wsgate-bench";

/// What everyone's tests read the fuzzer's inputs by, and nothing else may use.
const FOR_SEEDS: &str = "wsgate-seeds";

/// Members without any dependency but those of their tests.
const INDEPENDENT: &[&str] = &["wsgate-frame"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::printed;
    use crate::workspace::Dependency;

    const MEMBERS: &[&str] = &[
        "wsgate",
        "wsgate-bench",
        "wsgate-frame",
        "wsgate-layer",
        "wsgate-server",
    ];

    #[track_caller]
    fn check(name: &str, dependency: (&str, Option<&str>), expected: &[&str]) {
        let (other, kind) = dependency;
        let dependency = Dependency {
            name: other.into(),
            kind: kind.map(Into::into),
        };
        let package = Package {
            name: name.into(),
            dependencies: vec![dependency],
            ..Package::default()
        };
        let folder = if name.starts_with("example") {
            "examples"
        } else {
            "crates"
        };
        let manifest = format!("{folder}/{name}/Cargo.toml");
        assert_eq!(check_package(&package, &manifest, MEMBERS), expected);
    }

    #[test]
    fn this_workspace_keeps_to_the_drawing() {
        let workspace = Workspace::load().unwrap();
        assert_eq!(printed(super::check(&workspace)), [""; 0]);
    }

    #[test]
    fn arrows_point_down() {
        check("wsgate-layer", ("wsgate-frame", None), &[]);
        check(
            "wsgate-layer",
            ("wsgate", None),
            &[
                "wsgate-layer must not depend on wsgate: of our crates it may use wsgate-frame, wsgate-tls",
            ],
        );
    }

    #[test]
    fn tests_of_a_crate_point_down_too() {
        check(
            "wsgate-server",
            ("wsgate-layer", Some("dev")),
            &["wsgate-server must not depend on wsgate-layer: of our crates it may use wsgate-tls"],
        );
    }

    #[test]
    fn the_frame_crate_depends_on_nothing_but_has_tests() {
        check("wsgate-frame", ("proptest", Some("dev")), &[]);
        check(
            "wsgate-frame",
            ("bytes", None),
            &["wsgate-frame has no dependency at all, so it cannot have bytes"],
        );
    }

    #[test]
    fn benchmarks_alone_use_what_they_run_by() {
        check("wsgate-layer", ("wsgate-bench", Some("dev")), &[]);
        check("wsgate-frame", ("wsgate-bench", Some("dev")), &[]);
        check(
            "wsgate-layer",
            ("wsgate-bench", None),
            &[
                "wsgate-layer must not depend on wsgate-bench: of our crates it may use wsgate-frame, wsgate-tls",
            ],
        );
    }

    #[test]
    fn examples_use_the_face_alone() {
        check("example-chat", ("wsgate", None), &[]);
        check("example-chat", ("axum", None), &[]);
        check(
            "example-chat",
            ("wsgate-server", None),
            &["example-chat must not depend on wsgate-server: of our crates it may use wsgate"],
        );
    }

    #[test]
    fn a_new_crate_must_say_where_it_stands() {
        check(
            "wsgate-new",
            ("wsgate", None),
            &["wsgate-new is new: say in xtask/src/tidy/edges.rs which of our crates it may use"],
        );
    }
}
