//! Load generator and upstream of the comparison. The README beside it has the scenarios and what is printed.

mod args;
mod connect;
mod crew;
mod fault;
mod frame;
mod pace;
mod payload;
mod procfs;
mod random;
mod receiver;
mod report;
mod scenario;
mod scratch;
mod sender;
mod session;
mod stream;
mod tally;
mod timer;
mod upstream;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use args::{Cli, Command};
use fault::Fault;
use scenario::Scenario;

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wsgate-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let (scenario, args) = match command {
        Command::Upstream(args) => return upstream::run(args),
        Command::Echo(args) => (Scenario::Echo, args),
        Command::Rate(args) => (Scenario::Rate, args),
        Command::Fanout(args) => (Scenario::Fanout, args),
        Command::Idle(args) => (Scenario::Idle, args),
        Command::Handshakes(args) => (Scenario::Handshakes, args),
    };
    let report = scenario::run(scenario, args)?;
    writeln!(io::stdout(), "{}", serde_json::to_string(&report)?)?;
    Ok(())
}
