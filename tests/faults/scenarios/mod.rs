//! The scenarios, a module for each part of the network.

mod clients;
mod links;
mod moments;
mod upstreams;
mod weather;

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::gateway::Event;
use crate::peer::Part;
use crate::report::Line;

/// One of them.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// Whether it is one of those that run in CI.
    pub(crate) is_quick: bool,
    /// Panics where something is not as it has to be.
    pub(crate) play: fn() -> BoxFuture<'static, Vec<Line>>,
}

macro_rules! scenarios {
    ($($name:literal $quick:literal $play:path;)*) => {
        &[$(Scenario {
            name: $name,
            is_quick: $quick,
            play: || Box::pin($play()),
        }),*]
    };
}

/// All of them. Those that take longest are the first, since some run at once.
pub(crate) const ALL: &[Scenario] = scenarios! {
    "client-gone-http2-pings" false clients::gone_and_found_by_http2;
    "upstream-gone-http2" false upstreams::gone_and_found_by_http2;
    "loss-20" false weather::loss_20;
    "delay" false weather::delay;
    "loss-5" true weather::loss_5;
    "duplicates" false weather::duplicates;
    "reordering" false weather::reordering;
    "damage" true weather::damage;
    "client-away" true clients::away;
    "client-gone-quiet" true clients::gone_and_quiet;
    "client-gone-talking" true clients::gone_while_talking;
    "client-gone-flooded" true clients::gone_while_flooded;
    "upstream-gone-pings" true upstreams::gone_and_pinged;
    "upstream-gone-tcp-quiet" true upstreams::gone_and_quiet;
    "upstream-gone-tcp-talking" true upstreams::gone_while_talking;
    "upstream-gone-tcp-off" false upstreams::gone_and_nobody_asks;
    "upstream-stopped" true upstreams::stopped;
    "upstream-gone-of-two" false upstreams::gone_of_two;
    "one-way" false links::one_way;
    "flapping" false links::flapping;
    "interface-down" true links::interface_down;
    "black-hole" false links::black_hole;
    "cut-in-connect" true moments::connecting;
    "cut-in-handshake" true moments::handshake;
    "cut-in-tls" false moments::tls;
    "cut-in-drain" true moments::drain;
};

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A hundred messages a second, too long for one frame of Ethernet.
const TALK: Part = Part::Talk {
    pause: millis(10),
    length: 4_000,
};

/// Few, so that there is time for pings in between.
const SPEAK: Part = Part::Talk {
    pause: millis(300),
    length: 50,
};

/// For all that has no time of its own.
const PATIENCE: Duration = seconds(60);

/// How much later than promised something may be seen on a busy machine.
const SLACK: Duration = seconds(3);

/// How much earlier: the last sign of life may have been held up on its way to us.
const LEAD: Duration = millis(400);

/// How long after a moment the last of these events came.
///
/// # Panics
///
/// When the first of them came before `earliest`, or the last after `latest`, by more than a busy
/// machine explains.
#[track_caller]
fn within(since: Instant, events: &[Event], earliest: Duration, latest: Duration) -> Duration {
    let times = events
        .iter()
        .map(|event| event.at.saturating_duration_since(since));
    let first = times.clone().min().expect("there are some");
    let last = times.max().expect("there are some");
    assert!(
        first + LEAD >= earliest,
        "{first:?} is too early: {events:?}"
    );
    assert!(last <= latest + SLACK, "{last:?} is too late: {events:?}");
    last
}

/// Whether each of these events has this cause, on this side.
///
/// # Panics
///
/// When one has not.
#[track_caller]
fn caused_by(events: &[Event], closed_by: &str, cause: &str) {
    for event in events {
        let told = ["closed_by", "cause"].map(|name| event.field(name).as_str());
        assert_eq!(told, [Some(closed_by), Some(cause)], "{event:?}");
    }
}
