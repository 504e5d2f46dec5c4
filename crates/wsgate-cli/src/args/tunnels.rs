//! What happens to WebSockets that are open, or want to be.

use std::{fmt, str::FromStr};

use bytesize::ByteSize;
use humantime::Duration;
use wsgate::{
    WebSocketProxy,
    layer::{Drain, KeepaliveLayer, MessageTimeoutLayer, ReadTimeoutLayer},
    server::Limits,
};

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

    /// Close WebSockets whose client does not finish a frame in this time, with 1008; `off` for never
    ///
    /// 240 bytes make up for a second, so a large one may take long as long as it comes.
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = OrOff::On(MessageTimeoutLayer::DEFAULT_TIMEOUT.into())
    )]
    pub(crate) frame_timeout: OrOff<Duration>,

    /// The same for messages, whose frames may come one by one
    ///
    /// Upstreams that hold a message together keep what there is of it. Leave it off where clients leave
    /// a message open while they have nothing to say.
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) message_timeout: OrOff<Duration>,

    /// How long a Close may be left unanswered before both sides are cut
    #[arg(
        long,
        value_name = "DURATION",
        default_value_t = WebSocketProxy::DEFAULT_CLOSE_TIMEOUT.into()
    )]
    pub(crate) close_timeout: Duration,

    /// What becomes of frames that break the rules of RFC 6455, from either side
    ///
    /// `transparent` passes them on as they came: each end judges for itself, as it does without a
    /// gateway, and what works goes on working. `strict` passes nothing of them and closes both sides with
    /// 1002 and the reason: for upstreams whose own parser is not to be trusted with strangers.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Frames::Transparent)]
    pub(crate) frames: Frames,

    /// Ping upstreams as well, when they have said nothing for so long
    #[arg(long, value_name = "DURATION", default_value_t = OrOff::Off)]
    pub(crate) upstream_keepalive: OrOff<Duration>,

    /// Cut upstreams that give no sign of life for so long after a ping
    ///
    /// The client is told Close 1011. Default: as long as --upstream-keepalive, but 20s at most.
    #[arg(long, value_name = "DURATION")]
    pub(crate) upstream_pong_timeout: Option<Duration>,
}

/// What is done with frames that break the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Frames {
    Transparent,
    Strict,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// How many WebSockets may be open at once; more are refused with 503
    ///
    /// Each takes two open files, whose limit is raised at the start as far as it may be. Default: as many
    /// as that has room for, an eighth of it kept for other connections. `off` for no limit but that.
    #[arg(long, value_name = "N")]
    pub(crate) max_tunnels: Option<OrOff<usize>>,

    /// How many handshakes may wait for their upstream's answer at once; more are refused with 503
    ///
    /// When all clients come back at the same time, those are served that can be, and the others are told
    /// at once to try again, instead of all waiting in vain. An upstream that answers 100 in a second has
    /// the default answered in the 10s of --handshake-timeout.
    #[arg(long, value_name = "N", default_value_t = OrOff::On(1000))]
    pub(crate) max_pending_handshakes: OrOff<usize>,

    /// How many of them one client address may have (IPv6: one /64); more are refused with 429
    #[arg(long, value_name = "N", default_value_t = OrOff::Off)]
    pub(crate) max_tunnels_per_address: OrOff<usize>,

    /// How long a client's message may be, as it is on the wire: 64KiB, say. A longer one is answered
    /// with Close 1009
    #[arg(long, value_name = "SIZE", default_value_t = OrOff::Off)]
    pub(crate) max_message_size: OrOff<ByteSize>,

    /// How many frames a client may send in a second, messages, pings and all; one that is faster waits
    ///
    /// As many may come at once. Nothing is lost: nothing more is read from it until it has waited long
    /// enough.
    #[arg(long, value_name = "N", default_value_t = OrOff::Off)]
    pub(crate) max_frame_rate: OrOff<u64>,

    /// How long the head of a request may be, from 8KiB to 1MiB; a longer one is refused with 431
    ///
    /// Raise it for clients with very large cookies, or Kerberos tickets.
    #[arg(
        long,
        value_name = "SIZE",
        default_value_t = ByteSize(Limits::DEFAULT_REQUEST_HEAD as u64)
    )]
    pub(crate) max_request_head: ByteSize,
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
