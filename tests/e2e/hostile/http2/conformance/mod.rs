//! What RFC 9113 and RFC 7541 ask of a server, case by case.
//!
//! h2spec is the tool for this, and no registry that the tests install from has it; these are its cases,
//! by the sections of the RFCs, over TLS and against the whole gateway. As there, an error of the
//! connection may be told by GOAWAY or by its end, and an error of a stream by either or by RST_STREAM;
//! unlike there, the code has to be the RFC's. Where h2 differs the case says how, so that an upgrade
//! that changes it is noticed.

mod fields;
mod frames;
mod heads;
mod hpack;
mod requests;
mod settings;
mod sizes;
mod streams;
mod windows;

use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use futures_util::future::BoxFuture;
use wsgate_tests::client::frames::{Frames, Outcome, flag, kind};
use wsgate_tests::client::{Http2Frame, Target};
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;

use super::GET;

/// One rule, and how it is broken or kept.
struct Case {
    section: &'static str,
    name: &'static str,
    play: Play,
    want: Want,
    /// What h2 does instead.
    differs: Option<Outcome>,
}

enum Play {
    /// Sends this; stream 1 is the one that it is about.
    Send(Vec<u8>),
    /// Does this.
    Act(Act),
}

type Act = for<'a> fn(&'a mut Frames) -> BoxFuture<'a, Outcome>;

/// What the RFC wants to come of it.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// An error of the connection.
    Connection(u32),
    /// An error of the stream, or of the connection.
    Stream(u32),
    /// One of the two.
    Either(u32, u32),
    /// The request is answered with this status.
    Status(u16),
    /// Nothing: the connection serves on.
    Nothing,
}

// ===== impl Case =====

fn send(section: &'static str, name: &'static str, frames: &[Http2Frame], want: Want) -> Case {
    let bytes = frames.iter().flat_map(Http2Frame::to_bytes).collect();
    Case {
        section,
        name,
        play: Play::Send(bytes),
        want,
        differs: None,
    }
}

fn act(section: &'static str, name: &'static str, act: Act, want: Want) -> Case {
    Case {
        section,
        name,
        play: Play::Act(act),
        want,
        differs: None,
    }
}

impl Case {
    fn but(self, outcome: Outcome) -> Self {
        Self {
            differs: Some(outcome),
            ..self
        }
    }

    /// Whether it came as it should; if not, what came.
    async fn check(&self, target: &Target) -> Result<(), String> {
        let outcome = match &self.play {
            Play::Send(bytes) => {
                let mut client = target.frames(&[]).await;
                client.send_raw(bytes).await;
                outcome(&mut client, 1).await
            }
            Play::Act(act) => act(&mut target.frames(&[]).await).await,
        };
        let Self {
            section,
            name,
            want,
            differs,
            ..
        } = self;
        match (want.fits(outcome), differs) {
            (true, None) => Ok(()),
            (false, Some(differs)) if *differs == outcome => Ok(()),
            (true, Some(_)) => Err(format!("{section}, {name}: h2 differs no more")),
            (false, _) => Err(format!(
                "{section}, {name}: {outcome:?}, where {want:?} is due"
            )),
        }
    }
}

// ===== impl Want =====

impl Want {
    fn fits(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Self::Connection(_) | Self::Stream(_) | Self::Either(..), Outcome::Ended) => true,
            (Self::Connection(code) | Self::Stream(code), Outcome::GoneAway(is)) => code == is,
            (Self::Stream(code), Outcome::Reset(is)) => code == is,
            (Self::Either(a, b), Outcome::GoneAway(is) | Outcome::Reset(is)) => a == is || b == is,
            (Self::Status(status), Outcome::Status(is)) => status == is,
            (Self::Nothing, Outcome::Nothing) => true,
            _ => false,
        }
    }
}

/// What became of a stream and of the connection, by the time that another request is answered.
async fn outcome(client: &mut Frames, stream: u32) -> Outcome {
    client.send(&[Http2Frame::headers(PROBE, GET, true)]).await;
    let mut outcome = Outcome::Nothing;
    while let Some(frame) = client.next().await {
        match frame.kind {
            kind::GOAWAY => return Outcome::GoneAway(frame.code()),
            kind::RST_STREAM if frame.stream == stream => outcome = Outcome::Reset(frame.code()),
            kind::HEADERS if frame.stream == stream => outcome = Outcome::Status(frame.status()),
            kind::HEADERS if frame.stream == PROBE => return outcome,
            _ => {}
        }
    }
    match outcome {
        Outcome::Reset(_) => outcome,
        _ => Outcome::Ended,
    }
}

/// HEADERS with these flags and this block.
fn headers(flags: u8, stream: u32, block: impl Into<Bytes>) -> Http2Frame {
    Http2Frame::new(kind::HEADERS, flags, stream, block.into())
}

/// A whole GET.
fn get(stream: u32) -> Http2Frame {
    Http2Frame::headers(stream, GET, true)
}

/// The head of a POST whose body is to follow.
fn post(stream: u32) -> Http2Frame {
    Http2Frame::headers(stream, &post_with(&[]), false)
}

fn post_with<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[(":method", "POST")], &GET[1..], more].concat()
}

/// A stream that no case uses.
const PROBE: u32 = 1001;

const WHOLE: u8 = flag::END_HEADERS | flag::END_STREAM;

async fn check_all(cases: Vec<Case>) {
    let _trace = trace::init();
    let app = Router::new().route("/", any(|body: Bytes| async { body }));
    let gateway = Gateway::serving(app).await;
    let target = gateway.target();
    let mut failures = Vec::new();
    for case in &cases {
        if let Err(failure) = case.check(&target).await {
            failures.push(failure);
        }
    }
    let count = cases.len();
    let differ = cases.iter().filter(|case| case.differs.is_some()).count();
    tracing::info!("{count} cases, {differ} of them other than the RFC has it");
    assert!(failures.is_empty(), "of {count}:\n{}", failures.join("\n"));
    gateway.join().await;
}
