//! Runs a scenario: threads make load, and what it costs is measured from outside.

mod handshakes;
mod traffic;

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::args::LoadArgs;
use crate::connect::{Target, tls};
use crate::crew::{Crew, Step};
use crate::procfs::{Sample, Watched};
use crate::report::{Latency, Memory, Report};
use crate::tally::{Tally, new_histogram};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Echo,
    Rate,
    Fanout,
    Idle,
    Handshakes,
}

/// The arguments, made ready for the threads.
#[derive(Clone, Debug)]
struct Job {
    scenario: Scenario,
    target: Target,
    args: LoadArgs,
    size: usize,
    in_flight: usize,
}

/// What was counted at one moment.
#[derive(Debug)]
struct Counts {
    at: Instant,
    messages: u64,
    resumed: u64,
    server: Option<Sample>,
    upstream: Option<Sample>,
    load: Sample,
}

/// Who is measured.
#[derive(Clone, Copy, Debug)]
struct Watch {
    server: Option<Watched>,
    upstream: Option<Watched>,
    load: Watched,
}

/// Runs it, from the first connection to the last Close.
///
/// # Errors
///
/// When it could not be run at all. What fails later is in the report.
pub(crate) fn run(scenario: Scenario, args: &LoadArgs) -> Result<Report> {
    let job = Arc::new(Job::new(scenario, args)?);
    raise_descriptors(args.connections)?;
    let watch = Watch {
        server: args.watch.map(Watched::new).transpose()?,
        upstream: args.upstream_pid.map(Watched::new).transpose()?,
        load: Watched::new(process::id())?,
    };
    if scenario == Scenario::Idle && watch.server.is_none() {
        bail!("whose memory? `idle` needs --watch");
    }
    let mut memory = Memory::default();
    memory.before = watch.memory();

    let crew = {
        let job = Arc::clone(&job);
        match scenario {
            Scenario::Handshakes => Crew::hire(args.threads, move |post| {
                handshakes::work(post, Arc::clone(&job))
            }),
            _ => Crew::hire(args.threads, move |post| {
                traffic::work(post, Arc::clone(&job))
            }),
        }?
    };
    let tls = crew.ready()?;
    if scenario == Scenario::Idle {
        thread::sleep(REST);
        memory.idle = watch.memory();
    }

    crew.order(Step::Run);
    thread::sleep(args.warm_up);
    let before = watch.count(crew.tallies());
    crew.tallies().iter().for_each(|tally| tally.set_open(true));
    thread::sleep(args.seconds);
    let after = watch.count(crew.tallies());
    crew.tallies()
        .iter()
        .for_each(|tally| tally.set_open(false));

    crew.order(Step::Stop);
    crew.ready()?;
    if scenario == Scenario::Idle {
        thread::sleep(REST);
        memory.after_busy = watch.memory();
    }
    crew.order(Step::Close);
    let tallies = crew.dismiss();
    let memory = (scenario == Scenario::Idle).then_some(memory);
    Ok(report(&job, tls, &before, &after, &tallies, memory))
}

fn report(
    job: &Job,
    tls: Option<String>,
    before: &Counts,
    after: &Counts,
    tallies: &[Arc<Tally>],
    memory: Option<Memory>,
) -> Report {
    let between = |before: &Option<Sample>, after: &Option<Sample>| {
        Some(before.as_ref()?.until(after.as_ref()?))
    };
    let server = between(&before.server, &after.server);
    let upstream = between(&before.upstream, &after.upstream);
    let mut latency = new_histogram();
    tallies
        .iter()
        .for_each(|tally| tally.add_latency_to(&mut latency));
    let messages = after.messages - before.messages;
    let Job { scenario, args, .. } = job;
    Report {
        scenario: format!("{scenario:?}").to_lowercase(),
        connections: args.connections,
        size: job.size,
        in_flight: job.in_flight,
        http: if args.streams_per_connection.is_some() {
            "2"
        } else {
            "1.1"
        },
        tls,
        seconds: (after.at - before.at).as_secs_f64(),
        messages,
        bytes: messages * job.size as u64,
        errors: tallies.iter().map(|tally| tally.errors()).sum(),
        first_error: tallies.iter().find_map(|tally| tally.first_error()),
        cpu_ns: server.as_ref().map(|used| used.cpu_ns),
        cpu_is_coarse: server.as_ref().is_some_and(|used| used.is_coarse),
        load_cpu_ns: before.load.until(&after.load).cpu_ns,
        upstream_cpu_ns: upstream.map(|used| used.cpu_ns),
        latency_us: Latency::from(&latency),
        memory,
        resumed: (*scenario == Scenario::Handshakes).then_some(after.resumed - before.resumed),
        workers: server.map_or_else(Vec::new, |used| used.threads),
    }
}

/// Room for the sockets, as far as we may make it ourselves.
fn raise_descriptors(sockets: usize) -> Result<()> {
    let needed = sockets as u64 + SPARE_DESCRIPTORS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(most) = limit.maximum.filter(|most| *most < needed) {
        bail!(
            "{sockets} sockets need {needed} open files, and the hard limit is {most}: \
             raise it as root with `ulimit -Hn {needed}`"
        );
    }
    limit.current = Some(needed);
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")
}

// ===== impl Job =====

impl Job {
    fn new(scenario: Scenario, args: &LoadArgs) -> Result<Self> {
        let is_fanout = scenario == Scenario::Fanout;
        if is_fanout && args.publish_to.is_none() {
            bail!("who publishes? `fanout` needs --publish-to with the upstream's address");
        }
        let (size, in_flight) = match scenario {
            Scenario::Idle => (16 * 1024, 4),
            Scenario::Handshakes => (0, 0),
            _ => (64, 1),
        };
        let mut job = Self {
            scenario,
            target: Target {
                address: args.connect,
                host: args.host.clone(),
                path: if is_fanout { "/fanout" } else { &args.path }.to_owned(),
                tls: None,
                streams: args.streams_per_connection,
            },
            args: args.clone(),
            size: args.size.unwrap_or(size),
            in_flight: args.in_flight.unwrap_or(in_flight),
        };
        job.target = job.with_own_tickets()?;
        Ok(job)
    }

    /// The target, with a TLS configuration whose tickets nobody else takes.
    fn with_own_tickets(&self) -> Result<Target> {
        let alpn = if self.target.streams.is_some() {
            "h2"
        } else {
            "http/1.1"
        };
        let ca = self.args.ca.as_deref();
        let tls = ca.map(|ca| tls::client_config(ca, alpn, self.args.resume));
        Ok(Target {
            tls: tls.transpose()?,
            ..self.target.clone()
        })
    }
}

// ===== impl Watch =====

impl Watch {
    fn count(&self, tallies: &[Arc<Tally>]) -> Counts {
        Counts {
            at: Instant::now(),
            messages: tallies.iter().map(|tally| tally.messages()).sum(),
            resumed: tallies.iter().map(|tally| tally.resumed()).sum(),
            server: self.server.map(Watched::sample),
            upstream: self.upstream.map(Watched::sample),
            load: self.load.sample(),
        }
    }

    fn memory(&self) -> u64 {
        self.server.map_or(0, Watched::private_dirty)
    }
}

/// Servers that tidy up a little later are given the time for it.
const REST: Duration = Duration::from_secs(2);

/// For what is not a socket, a runtime's own and files that are read meanwhile.
const SPARE_DESCRIPTORS: u64 = 64;
