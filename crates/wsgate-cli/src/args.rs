//! The command line as written. What it means is decided in [`plan`](crate::plan).

mod time;
mod tunnels;
mod upstreams;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use humantime::Duration;
use tracing_subscriber::filter::LevelFilter;
use wsgate::server::{DevelopmentCa, ServerError, Tls};

pub(crate) use self::{
    time::TimeArgs,
    tunnels::{DrainArgs, Frames, LimitArgs, OrOff, TunnelArgs},
    upstreams::{GroupArgs, UpstreamArgs},
};

/// wss:// in front of WebSocket upstreams
///
/// Serves HTTPS over HTTP/1.1 and HTTP/2, and passes the WebSockets that come to a route on to its
/// upstream. Keeps them alive, and closes them in an orderly way on SIGTERM or SIGINT; a second signal
/// ends it at once. SIGHUP has it read its certificates anew.
#[derive(Debug, Parser)]
#[command(
    name = "wsgate",
    version,
    override_usage = USAGE,
    after_help = EXAMPLES,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Dev(DevArgs),
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,

    /// A certificate chain, as a PEM file. Repeatable
    ///
    /// Clients get the certificate for the name that they ask for (SNI), or else the first.
    #[arg(long = "cert", value_name = "FILE")]
    pub(crate) certificates: Vec<PathBuf>,

    /// The private key of a certificate, as a PEM file. Repeatable, in the order of the --cert
    #[arg(long = "key", value_name = "FILE")]
    pub(crate) keys: Vec<PathBuf>,

    /// Let in only clients with a certificate that one of the CAs in this PEM file has signed
    ///
    /// All others are turned away in the TLS handshake. Not for sites that browsers visit: those ask their
    /// users for a certificate to choose.
    #[arg(long = "client-ca", value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,

    /// How often the files of --cert, --key and --client-ca are looked at; `off` for at SIGHUP only
    ///
    /// What has changed is taken into use, all of it or, where something is wrong with it, nothing: the
    /// old ones stay then, and the log tells why. Open WebSockets go on. When the --client-ca has changed,
    /// clients have to show their certificates anew. SIGHUP has the files read at once.
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = OrOff::On(Tls::DEFAULT_WATCH_INTERVAL.into())
    )]
    pub(crate) cert_check: OrOff<Duration>,

    /// Serve plain HTTP, behind something else that ends TLS
    ///
    /// List that one as --trusted-proxy.
    #[arg(long, conflicts_with_all = ["certificates", "keys", "client_ca", "cert_check", "redirect_http", "hsts"])]
    pub(crate) plain: bool,

    /// Have connections from here begin with a PROXY protocol header, which says whose they are. Repeatable
    ///
    /// The address of a balancer that passes TCP on, or a network such as 10.0.0.0/8: HAProxy with send-proxy or
    /// send-proxy-v2, nginx with proxy_protocol, the NLB of AWS. From there the header is required, and believed
    /// from nowhere else. Default: nobody sends one.
    #[arg(long, value_name = "CIDR")]
    pub(crate) proxy_protocol: Vec<String>,

    /// Listen here too, in plain HTTP, and send everyone who comes to https
    #[arg(long, value_name = "ADDR")]
    pub(crate) redirect_http: Option<SocketAddr>,

    /// Tell browsers to come by https only, for so long
    ///
    /// Begin with minutes and raise it: it cannot be taken back before the time is over. 0s makes
    /// browsers forget it. Default: nothing is told.
    #[arg(long, value_name = "DURATION")]
    pub(crate) hsts: Option<Duration>,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// Serve https://localhost with a development certificate made on the spot
///
/// The certificate comes from a small CA that is kept between runs, so that a browser has to be told
/// only once to trust it.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "wsgate dev --route PATH=URL [OPTIONS]",
    next_help_heading = "Listening"
)]
pub(crate) struct DevArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443")]
    pub(crate) listen: SocketAddr,

    /// Where the development CA is kept. Default: the user's data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Say how browsers and other programs come to trust the CA, and do nothing else
    #[arg(long)]
    pub(crate) how_to_trust: bool,

    #[command(flatten)]
    pub(crate) gateway: GatewayArgs,
}

/// What `wsgate` and `wsgate dev` have in common.
#[derive(Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    #[command(flatten)]
    pub(crate) routing: RoutingArgs,

    #[command(flatten)]
    pub(crate) access: AccessArgs,

    #[command(flatten)]
    pub(crate) tunnels: TunnelArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) time: TimeArgs,

    #[command(flatten)]
    pub(crate) drain: DrainArgs,

    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,

    #[command(flatten)]
    pub(crate) group: GroupArgs,

    #[command(flatten)]
    pub(crate) threads: ThreadArgs,

    #[command(flatten)]
    pub(crate) log: LogArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Routes")]
pub(crate) struct RoutingArgs {
    /// Pass WebSockets at PATH, and everywhere beneath it, on to URL. Repeatable
    ///
    /// URL is http://host:port, https://host:port (ws:// and wss:// mean the same) or
    /// unix:/run/app.sock. The longest PATH wins.
    ///
    /// Several URLs, with commas between them, are a group of endpoints that share the WebSockets; behind
    /// each may stand weight=N, max-tunnels=N and backup, as in '/ws=http://a:1 weight=2,http://b:1'.
    /// Endpoints are found by dns:http://name:port (all addresses of the name), srv:_service._tcp.name,
    /// or file:/path with one endpoint a line, and come and go as those change.
    ///
    /// A URL without a path leaves the path of requests as it is. One with a path, if only /, puts it
    /// in the place of PATH, letter by letter as nginx's proxy_pass does: with
    /// /websocket/=http://127.0.0.1:9000/app/ the upstream is asked for /app/room where the client
    /// asks for /websocket/room. Behind a socket the path is written unix:/run/app.sock:/app/.
    #[arg(long = "route", value_name = "PATH=URL[,URL]")]
    pub(crate) routes: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Who may come")]
pub(crate) struct AccessArgs {
    /// Let pages of this origin open WebSockets too. Repeatable
    ///
    /// Written https://example.com, http://localhost:3000, '*.example.com' (the subdomains, over
    /// https), or '*' for every page of the web. Default: only pages of the same origin.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    pub(crate) allowed_origins: Vec<String>,

    /// Believe the X-Forwarded-* and Forwarded fields from here. Repeatable
    ///
    /// An address, or a network such as 10.0.0.0/8. Default: nobody's.
    #[arg(long = "trusted-proxy", value_name = "CIDR")]
    pub(crate) trusted_proxies: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Threads")]
pub(crate) struct ThreadArgs {
    /// How many threads share the connections. Default: one for each core
    ///
    /// Each listens by itself, and keeps the connections that the operating system gives it: on Linux
    /// by chance, and so evenly where there are many.
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<NonZeroUsize>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Log (on stderr)")]
pub(crate) struct LogArgs {
    /// How events are written
    ///
    /// When stderr is read too slowly, or its disk is full, nothing waits for it: events are lost, and the
    /// log says how many as soon as it can.
    #[arg(long = "log", value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LogFormat,

    /// How much is told: off, error, warn, info, debug or trace. Default: what RUST_LOG says, else
    /// info
    ///
    /// Neither paths nor queries, cookies or other fields of requests are told at any level. The libraries
    /// below stay at info, as they would tell them; only RUST_LOG can ask them for more.
    #[arg(long = "log-level", value_name = "LEVEL")]
    pub(crate) level: Option<LevelFilter>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

const USAGE: &str = "\
wsgate --listen ADDR --cert FILE --key FILE --route PATH=URL [OPTIONS]
       wsgate --listen ADDR --plain --route PATH=URL [OPTIONS]
       wsgate dev --route PATH=URL [OPTIONS]";

const EXAMPLES: &str = "\
Examples:
  wsgate dev --route /websocket=http://127.0.0.1:9000
  wsgate --listen 0.0.0.0:443 --redirect-http 0.0.0.0:80 \\
      --cert example.com.pem --key example.com.key \\
      --route /websocket=http://127.0.0.1:9000 --route /live/=unix:/run/live.sock:/
  wsgate --listen 0.0.0.0:443 --cert example.com.pem --key example.com.key \\
      --route /websocket=http://10.0.0.1:9000,http://10.0.0.2:9000 --health-check http:/health

Durations are written 500ms, 5s, 1m or 1h 30m.";

// ===== impl Args =====

impl Args {
    pub(crate) const fn log(&self) -> &LogArgs {
        match &self.command {
            Some(Command::Dev(dev)) => &dev.gateway.log,
            None => &self.serve.gateway.log,
        }
    }

    /// The CA to tell about, where that is all that was asked for.
    pub(crate) fn how_to_trust(&self) -> Option<Result<DevelopmentCa, ServerError>> {
        match &self.command {
            Some(Command::Dev(dev)) if dev.how_to_trust => Some(dev.ca()),
            _ => None,
        }
    }
}

// ===== impl DevArgs =====

impl DevArgs {
    pub(crate) fn ca(&self) -> Result<DevelopmentCa, ServerError> {
        match &self.data_dir {
            Some(directory) => Ok(DevelopmentCa::in_directory(directory)),
            None => DevelopmentCa::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_shows_the_defaults_of_the_library() {
        let help = Args::command().render_long_help().to_string();
        assert!(help.contains("[default: 5s]"), "{help}");
        assert!(help.contains("[default: 10s]"), "{help}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for args in [
            &["--plain", "--cert", "a.pem"][..],
            &["--plain", "--redirect-http", "127.0.0.1:80"],
            &["--plain", "--hsts", "1h"],
            &["--plain", "--client-ca", "ca.pem"],
            &["--plain", "--cert-check", "1m"],
            &["--upstream-cert", "a.pem"],
            &["--upstream-key", "a.key"],
            &["--connect-timeout", "5"],
            &["--log-level", "loud"],
            &["--workers", "0"],
            &["--workers", "auto"],
            &["--listen", "127.0.0.1:0", "dev"],
            &["dev", "--cert", "a.pem"],
            &["dev", "--client-ca", "ca.pem"],
        ] {
            let all = ["wsgate"].into_iter().chain(args.iter().copied());
            assert!(Args::try_parse_from(all).is_err(), "{args:?}");
        }
    }
}
