//! `cargo xtask test`: every test there is.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{process, setup};

/// Sets up and runs the tests; with `args`, one `cargo test` that has them.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    setup::run(workspace)?;
    if args.is_empty() {
        all_targets(workspace)?;
        over_tokio_rustls(workspace)?;
        doc_tests(workspace)
    } else {
        let mut cargo = process::cargo(&workspace.root);
        process::run(
            cargo
                .args(["test", "--workspace", "--all-features"])
                .args(args),
        )
    }
}

/// Unit tests, integration tests, examples, and the benchmarks once each so that they cannot rot.
pub(crate) fn all_targets(workspace: &Workspace) -> Result<()> {
    // The end-to-end tests start our programs. `cargo test` builds those only whose package has
    // integration tests of its own. All targets, as there: the dependencies of programs alone have
    // fewer features, and all would be compiled twice.
    let mut cargo = process::cargo(&workspace.root);
    process::run(cargo.args(["build", "--workspace", "--all-targets", "--all-features"]))?;
    let mut cargo = process::cargo(&workspace.root);
    process::run(cargo.args(["test", "--workspace", "--all-targets", "--all-features"]))
}

/// The end-to-end tests that say the most about TLS once more, with tokio-rustls in place of the
/// server's own stream.
pub(crate) fn over_tokio_rustls(workspace: &Workspace) -> Result<()> {
    let mut cargo = process::cargo(&workspace.root);
    cargo.env("WSGATE_TESTS_BY_TOKIO_RUSTLS", "1");
    process::run(
        cargo
            .args([
                "test",
                "--workspace",
                "--all-features",
                "--test",
                "e2e",
                "--",
            ])
            .args(["tls::", "h2::", "upgrade::", "back_pressure::"]),
    )
}

/// The examples in the documentation, which `--all-targets` leaves out.
pub(crate) fn doc_tests(workspace: &Workspace) -> Result<()> {
    let mut cargo = process::cargo(&workspace.root);
    process::run(cargo.args(["test", "--workspace", "--doc", "--all-features"]))
}
