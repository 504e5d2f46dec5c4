//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Load generator and upstream of the comparison: prints one JSON object about one scenario.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve an echo on any path, and a fan-out on /fanout and /fanout/publish.
    Upstream(UpstreamArgs),
    /// Closed loop: each socket keeps its messages in flight.
    Echo(LoadArgs),
    /// Open loop: messages are due by the clock, and their latency counts from then.
    Rate(LoadArgs),
    /// One publisher, straight at the upstream, and subscribers that count what reaches them.
    Fanout(LoadArgs),
    /// Memory of open WebSockets: after one echo each, and after a busy phase.
    Idle(LoadArgs),
    /// Whole WebSockets, opened and closed one after the other.
    Handshakes(LoadArgs),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct UpstreamArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9000")]
    pub(crate) listen: SocketAddr,
    /// Threads, each with a listener of its own on the same port.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LoadArgs {
    /// The server under test.
    #[arg(long)]
    pub(crate) connect: SocketAddr,
    /// The certificate authority of the server, PEM.
    #[arg(long, required_unless_present = "plain")]
    pub(crate) ca: Option<PathBuf>,
    /// Plain TCP, without TLS.
    #[arg(long, conflicts_with = "ca")]
    pub(crate) plain: bool,
    /// The name that the certificate has, and that the handshake asks for.
    #[arg(long, default_value = "localhost")]
    pub(crate) host: String,
    /// The path of the handshake.
    #[arg(long, default_value = "/")]
    pub(crate) path: String,
    /// The server's process; what its descendants use is counted as well.
    #[arg(long, value_name = "PID")]
    pub(crate) watch: Option<u32>,
    /// The upstream's process, to report what it used.
    #[arg(long, value_name = "PID")]
    pub(crate) upstream_pid: Option<u32>,
    /// WebSockets, or parallel workers in `handshakes`.
    #[arg(long, default_value_t = 64, value_parser = positive)]
    pub(crate) connections: usize,
    /// Bytes of payload in a message; in `idle`, of the busy phase [default: 64, in `idle` 16384].
    #[arg(long)]
    pub(crate) size: Option<usize>,
    /// Messages in flight on each socket of a closed loop [default: 1, in `idle` 4].
    #[arg(long, value_parser = positive)]
    pub(crate) in_flight: Option<usize>,
    /// Messages a second: of all sockets in `rate`, of the publisher in `fanout`.
    #[arg(long, default_value = "5000", value_parser = rate)]
    pub(crate) rate: f64,
    /// Length of the measured window, in seconds.
    #[arg(long, default_value = "3", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) seconds: Duration,
    /// Load before the window, in seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// Take TLS tickets, a store for each worker of `handshakes`.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Where the publisher of `fanout` connects, without TLS: the upstream.
    #[arg(long, value_name = "ADDR")]
    pub(crate) publish_to: Option<SocketAddr>,
    /// Speak HTTP/2, with this many WebSockets on a connection.
    #[arg(long, value_name = "M", value_parser = positive)]
    pub(crate) streams_per_connection: Option<usize>,
    /// Threads of the generator; the sockets are dealt out among them.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub(crate) threads: usize,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|error| format!("{error}"))?;
    // Schedules count in nanoseconds.
    if (0.001..=1e8).contains(&rate) {
        Ok(rate)
    } else {
        Err("must be from 0.001 to 100000000 a second".to_owned())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check_refused(arguments: &[&str], reason: &str) {
        let line = ["wsgate-load", "echo", "--connect", "127.0.0.1:1"];
        let error = Cli::try_parse_from(line.iter().chain(arguments)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        check_refused(&[], "--ca");
        check_refused(&["--plain", "--ca", "a"], "cannot be used with");
        check_refused(&["--plain", "--connections", "0"], "at least 1");
        check_refused(&["--plain", "--rate", "0"], "must be from");
        check_refused(&["--plain", "--seconds", "-1"], "negative");
    }
}
