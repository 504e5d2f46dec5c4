//! Where WebSockets go, and how one of several endpoints is chosen.

use std::{num::NonZeroUsize, path::PathBuf};

use clap::ValueEnum;
use humantime::Duration;
use wsgate::proxy::{
    WebSocketProxy,
    upstream::{BalanceKind, Http2, health::HealthCheck},
};

use super::OrOff;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Upstreams")]
pub(crate) struct UpstreamArgs {
    /// How long a connection to an upstream may take, name and TLS included
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = WebSocketProxy::DEFAULT_CONNECT_TIMEOUT.into()
    )]
    pub(crate) connect_timeout: Duration,

    /// How long an upstream may then take to answer the handshake
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = WebSocketProxy::DEFAULT_HANDSHAKE_TIMEOUT.into()
    )]
    pub(crate) handshake_timeout: Duration,

    /// How long an answer of an upstream that opens no WebSocket may take, from its head to its end,
    /// whoever is slow
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = WebSocketProxy::DEFAULT_REFUSAL_TIMEOUT.into()
    )]
    pub(crate) refusal_timeout: Duration,

    /// How long the host of an upstream may leave unanswered what TCP sends it, also on quiet WebSockets;
    /// `off` for as long as the system does
    ///
    /// Past it clients get Close 1014. Processes that hang are found by --upstream-keepalive.
    #[arg(
        long = "upstream-tcp-timeout",
        value_name = "DURATION",
        default_value_t = OrOff::On(WebSocketProxy::DEFAULT_TCP_TIMEOUT.into())
    )]
    pub(crate) tcp_timeout: OrOff<Duration>,

    /// The Host that upstreams are sent: `client` (the client's own), `endpoint` (the upstream's
    /// host and port), or a name
    #[arg(long = "upstream-host", value_name = "HOST", default_value = "client")]
    pub(crate) host: String,

    /// Check upstreams with the CA certificates of this PEM file only. Default: the operating
    /// system's
    #[arg(long = "upstream-ca", value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Ask upstreams for the certificate of this name. Default: the host of the URL
    #[arg(long = "upstream-server-name", value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// Show upstreams this certificate, as a PEM file
    #[arg(long = "upstream-cert", value_name = "FILE", requires = "key")]
    pub(crate) certificate: Option<PathBuf>,

    /// The private key of --upstream-cert, as a PEM file
    #[arg(
        id = "key",
        long = "upstream-key",
        value_name = "FILE",
        requires = "certificate"
    )]
    pub(crate) key: Option<PathBuf>,

    /// Whether upstreams are asked for WebSockets over HTTP/2, many on one connection
    ///
    /// Those that are found by dns:, srv: or file: get HTTP/1.1.
    #[arg(long = "upstream-http2", value_name = "WHEN", default_value = "off")]
    pub(crate) http2: Http2Arg,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Routes with several endpoints")]
pub(crate) struct GroupArgs {
    /// Who gets the next WebSocket: least-tunnels, two-choices, round-robin, random,
    /// hash:header=NAME, hash:cookie=NAME, hash:query=NAME, hash:client or sticky-cookie. Default:
    /// least-tunnels
    #[arg(long, value_name = "POLICY")]
    pub(crate) balance: Option<BalanceKind>,

    /// The key by which the cookies of sticky-cookie are signed: a file of at least 32 random bytes,
    /// the same for all gateways. Default: made at each start, so that cookies are forgotten then
    #[arg(long, value_name = "FILE")]
    pub(crate) sticky_key: Option<PathBuf>,

    /// To how many endpoints a handshake is sent at most, where they refuse it or do not answer.
    /// Default: 3
    #[arg(long, value_name = "N")]
    pub(crate) tries: Option<NonZeroUsize>,

    /// How long all tries of a handshake may take. Default: 15s
    #[arg(long, value_name = "DURATION")]
    pub(crate) tries_timeout: Option<Duration>,

    /// Ask endpoints whether they are well: tcp, http:/path, or websocket:/path for a handshake and a
    /// ping. Default: only the clients' handshakes tell
    #[arg(long, value_name = "CHECK")]
    pub(crate) health_check: Option<HealthCheck>,

    /// How often they are asked
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = HealthCheck::DEFAULT_INTERVAL.into(),
        requires = "health_check"
    )]
    pub(crate) health_check_interval: Duration,

    /// Over how long an endpoint that comes back, or is new, grows to its full share; `off` for at once
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) slow_start: OrOff<Duration>,

    /// Over how long the WebSockets of an endpoint that is no longer found are closed, with 1012; `off`
    /// to leave them there
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) close_removed: OrOff<Duration>,

    /// Close WebSockets of endpoints that have too many, a hundredth of all in a minute at most, with
    /// 1012, so that they come back elsewhere
    #[arg(long)]
    pub(crate) rebalance: bool,
}

/// As [`Http2`], on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Http2Arg {
    /// Never
    Off,
    /// Where an https:// endpoint offers it
    Auto,
    /// Always, without asking
    Only,
}

// ===== impl Http2Arg =====

impl From<Http2Arg> for Http2 {
    fn from(arg: Http2Arg) -> Self {
        match arg {
            Http2Arg::Off => Self::Off,
            Http2Arg::Auto => Self::Auto,
            Http2Arg::Only => Self::Only,
        }
    }
}
