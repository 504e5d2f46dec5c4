//! What happens to WebSockets that are open, or want to be.

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use humantime::Duration;
use wsgate::layer::{Drain, KeepaliveLayer, ReadTimeoutLayer};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Open WebSockets")]
pub(crate) struct TunnelArgs {
    /// Ping clients that have said nothing for so long; `off` for never
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = OrOff::On(KeepaliveLayer::DEFAULT_INTERVAL.into())
    )]
    pub(crate) keepalive: OrOff<Duration>,

    /// Cut clients that give no sign of life for so long after a ping
    ///
    /// The upstream is told Close 1011. Default: as long as --keepalive, but 20s at most.
    #[arg(long, value_name = "DURATION")]
    pub(crate) pong_timeout: Option<Duration>,

    /// Close WebSockets whose client has sent nothing for so long, not even a pong; `off` for never
    ///
    /// With a Close 1001. It is the backstop of --keepalive, whose pongs count, and has to be longer
    /// than that and --pong-timeout together. Without --keepalive it also closes WebSockets whose
    /// client only listens, where nginx's proxy_read_timeout counts what it is sent as well.
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = OrOff::On(ReadTimeoutLayer::DEFAULT_TIMEOUT.into())
    )]
    pub(crate) read_timeout: OrOff<Duration>,

    /// Close WebSockets over which neither side has sent a message for so long, with 1001
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) idle_timeout: OrOff<Duration>,

    /// Close WebSockets that have lived for so long, with 1001
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) max_lifetime: OrOff<Duration>,

    /// Ping upstreams as well, when they have said nothing for so long
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) upstream_keepalive: OrOff<Duration>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// How many WebSockets may be open at once; more are refused with 503
    #[arg(long, value_name = "N", default_value_t = OrOff::Off)]
    pub(crate) max_tunnels: OrOff<usize>,

    /// How many of them one client address may have (IPv6: one /64); more are refused with 429
    #[arg(long, value_name = "N", default_value_t = OrOff::Off)]
    pub(crate) max_tunnels_per_address: OrOff<usize>,

    /// How long a client's message may be, as it is on the wire: 64KiB, say. A longer one is answered
    /// with Close 1009
    #[arg(long, value_name = "SIZE", default_value_t = OrOff::Off)]
    pub(crate) max_message_size: OrOff<ByteSize>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Stopping (SIGTERM, SIGINT)")]
pub(crate) struct DrainArgs {
    /// How long open WebSockets have to end after their Close; `off` to cut them without one
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = OrOff::On(Drain::DEFAULT_DEADLINE.into())
    )]
    pub(crate) drain_timeout: OrOff<Duration>,

    /// Over how long the Closes are spread, so that clients do not come back all at once
    #[arg(long, value_name = "DURATION", default_value_t = Drain::DEFAULT_SPREAD.into())]
    pub(crate) drain_spread: Duration,
}

/// A setting that can be left out with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrOff<T> {
    On(T),
    Off,
}

// ===== impl OrOff =====

impl<T> OrOff<T> {
    pub(crate) fn on(self) -> Option<T> {
        match self {
            Self::On(value) => Some(value),
            Self::Off => None,
        }
    }
}

impl<T: FromStr> FromStr for OrOff<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        match text {
            "off" => Ok(Self::Off),
            value => value.parse().map(Self::On),
        }
    }
}

impl<T: fmt::Display> fmt::Display for OrOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On(value) => value.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}
