use std::{fmt, time::Duration};

use http::StatusCode;
use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use wsgate_frame::{Close, CloseCode, Counts, Role};

use super::{Closed, Handshake, Observer, Opened, Ping, Refused, Traffic, Why};
use crate::{handshake::Kind, tunnel::Limit};

/// Counts and measures, through the `metrics` facade: install the exporter of your choice, such as
/// `metrics-exporter-prometheus`.
///
/// | metric | kind | labels beside `route` and `protocol` |
/// |---|---|---|
/// | `websocket_handshakes_total` | counter | `outcome`, `status`, `reason` |
/// | `websocket_handshake_duration_seconds` | histogram | `outcome` |
/// | `websocket_tunnels_open` | gauge | |
/// | `websocket_tunnel_duration_seconds` | histogram | `upstream` |
/// | `websocket_bytes_total` | counter | `upstream`, `direction` |
/// | `websocket_messages_total` | counter | `upstream`, `direction` |
/// | `websocket_closes_total` | counter | `upstream`, `code`, `by`, `cause` |
/// | `websocket_ping_round_trip_seconds` | histogram | `peer` |
/// | `websocket_limits_total` | counter | `limit` |
///
/// - `protocol`: `http/1.1` or `http/2`; `route` and `upstream` are the app's own names, `upstream` is
///   `none` where [no name was given](crate::tunnel::Tunnel::set_upstream).
/// - `outcome`: `accepted`, `refused`, `failed` (the service, without an answer) or `gone` (the
///   client). `status`: the code, or for one without a name its class, `4xx`; `none` without an
///   answer. `reason`: [a word](super::Why::word), or `none`.
/// - `direction`: `from_client` or `to_client`. Bytes are those on the wire, and counted
///   [while they pass](Observer::traffic).
/// - `code`: the registered close codes, `1005` for a Close without a code and `1006` for none at
///   all, as browsers report them; `3xxx` and `4xxx` for the codes of libraries and applications,
///   `invalid` for all others.
/// - `by`: [`client`, `server` or `gateway`](super::ClosedBy); `cause`: [`close`, `eof`,
///   `read_timeout`](super::Ended) ..
///
/// No label takes a value of a client's choice, so no client can grow them: no address, no host, no
/// path, no reason.
///
/// A WebSocket may live for days: give `websocket_tunnel_duration_seconds` buckets for it, as the
/// usual defaults of exporters end at 10 s.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MetricsObserver {}

/// The labels of one metric.
type Labels = Vec<Label>;

// What is counted and measured.
const HANDSHAKES: &str = "websocket_handshakes_total";
const HANDSHAKE_DURATION: &str = "websocket_handshake_duration_seconds";
const OPEN: &str = "websocket_tunnels_open";
const DURATION: &str = "websocket_tunnel_duration_seconds";
const BYTES: &str = "websocket_bytes_total";
const MESSAGES: &str = "websocket_messages_total";
const CLOSES: &str = "websocket_closes_total";
const ROUND_TRIP: &str = "websocket_ping_round_trip_seconds";
const LIMITS: &str = "websocket_limits_total";

/// The label of what there is not.
const NONE: &str = "none";

// ===== impl MetricsObserver =====

impl MetricsObserver {
    /// An observer that tells whatever recorder is installed. One that is installed later gets the
    /// values, but neither their descriptions nor their units.
    #[must_use]
    pub fn new() -> Self {
        describe();
        Self {}
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn refused(&self, handshake: &Handshake<'_>, refused: &Refused<'_>) {
        let (outcome, reason) = match &refused.why {
            Some(Why::Gone) => ("gone", NONE),
            Some(Why::Failed) => ("failed", NONE),
            why => ("refused", why.as_ref().map_or(NONE, Why::word)),
        };
        let status = refused.status.map_or(NONE.into(), status);
        answered(handshake, outcome, status, reason, refused.took);
    }

    fn opened(&self, handshake: &Handshake<'_>, opened: &Opened) {
        answered(
            handshake,
            "accepted",
            status(opened.status),
            NONE,
            opened.took,
        );
        gauge!(OPEN, labels(handshake, [])).increment(1);
    }

    fn traffic(&self, handshake: &Handshake<'_>, traffic: &Traffic) {
        let count = |direction, counts: &Counts| {
            let labels = labels(handshake, [upstream(handshake), ("direction", direction)]);
            counter!(BYTES, labels.clone()).increment(counts.wire_bytes);
            counter!(MESSAGES, labels).increment(counts.messages);
        };
        count("from_client".into(), &traffic.from_client);
        count("to_client".into(), &traffic.to_client);
    }

    fn ping(&self, handshake: &Handshake<'_>, ping: &Ping) {
        let peer = match ping.peer {
            Role::Client => "client",
            Role::Server => "server",
        };
        let labels = labels(handshake, [("peer", peer.into())]);
        histogram!(ROUND_TRIP, labels).record(ping.round_trip);
    }

    fn limit(&self, handshake: &Handshake<'_>, limit: Limit) {
        let labels = labels(handshake, [("limit", word(limit))]);
        counter!(LIMITS, labels).increment(1);
    }

    fn closed(&self, handshake: &Handshake<'_>, closed: &Closed<'_>) {
        gauge!(OPEN, labels(handshake, [])).decrement(1);
        let duration = labels(handshake, [upstream(handshake)]);
        histogram!(DURATION, duration).record(closed.duration);
        let closes = [
            upstream(handshake),
            ("code", code(closed)),
            ("by", word(closed.by)),
            ("cause", word(closed.ended)),
        ];
        counter!(CLOSES, labels(handshake, closes)).increment(1);
    }
}

fn describe() {
    let (count, bytes, seconds) = (Unit::Count, Unit::Bytes, Unit::Seconds);
    describe_counter!(
        HANDSHAKES,
        count,
        "WebSocket handshakes by what came of them."
    );
    describe_histogram!(
        HANDSHAKE_DURATION,
        seconds,
        "From a handshake to what came of it."
    );
    describe_gauge!(OPEN, count, "WebSockets that are open now.");
    describe_histogram!(DURATION, seconds, "How long WebSockets were open.");
    describe_counter!(BYTES, bytes, "Bytes that passed, frame headers included.");
    describe_counter!(MESSAGES, count, "Whole messages that passed.");
    describe_counter!(
        CLOSES,
        count,
        "WebSockets that ended, by who ended them, how and why."
    );
    describe_histogram!(ROUND_TRIP, seconds, "From a ping to its pong.");
    describe_counter!(LIMITS, count, "Limits that were met.");
}

fn answered(
    handshake: &Handshake<'_>,
    outcome: &'static str,
    status: SharedString,
    reason: &'static str,
    took: Duration,
) {
    let outcome = ("outcome", outcome.into());
    let all = [
        outcome.clone(),
        ("status", status),
        ("reason", reason.into()),
    ];
    counter!(HANDSHAKES, labels(handshake, all)).increment(1);
    histogram!(HANDSHAKE_DURATION, labels(handshake, [outcome])).record(took);
}

fn labels<const N: usize>(
    handshake: &Handshake<'_>,
    more: [(&'static str, SharedString); N],
) -> Labels {
    let protocol = match handshake.protocol {
        Kind::Upgrade => "http/1.1",
        Kind::ExtendedConnect => "http/2",
    };
    let route = handshake.route.to_owned();
    let base = [("route", route.into()), ("protocol", protocol.into())];
    let all = base.into_iter().chain(more);
    all.map(|(name, value)| Label::new(name, value)).collect()
}

fn upstream(handshake: &Handshake<'_>) -> (&'static str, SharedString) {
    let name = handshake.tunnel.upstream().map(str::to_owned);
    ("upstream", name.map_or(NONE.into(), Into::into))
}

/// The word of an enum of ours: there are as many as variants.
fn word(variant: impl fmt::Display) -> SharedString {
    variant.to_string().replace(' ', "_").into()
}

/// Those of the registry have a label each. An upstream can make up others.
fn status(status: StatusCode) -> SharedString {
    match status.canonical_reason() {
        Some(_) => status.as_str().to_owned().into(),
        None => format!("{}xx", status.as_u16() / 100).into(),
    }
}

/// A peer can send any of 65,536, also those that stand for what is never sent.
fn code(closed: &Closed<'_>) -> SharedString {
    let sent = closed.close.and_then(Close::code);
    match closed.code() {
        _ if sent.is_some_and(|code| !code.is_sendable()) => "invalid".into(),
        CloseCode(code @ (1000..=1014 | 3000 | 3003 | 3008)) => code.to_string().into(),
        CloseCode(3000..=3999) => "3xxx".into(),
        CloseCode(4000..=4999) => "4xxx".into(),
        CloseCode(_) => "invalid".into(),
    }
}
