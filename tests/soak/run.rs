//! The course: a warm-up and rounds; after each of them everybody leaves, and the gateway has to be as it was.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::chaos::Chaos;
use crate::fleet::{Fleet, History};
use crate::gateway::{Figures, Gateway};
use crate::random::Random;
use crate::session::World;
use crate::slot::{by_http1, by_http2};
use crate::tally::Tally;
use crate::vandal::come_and_go;

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) wsgate: PathBuf,
    /// For certificates and the file of endpoints.
    pub(crate) dir: PathBuf,
    /// Of all rounds together, without the rests between them.
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    /// How many at a time, half of them over HTTP/2.
    pub(crate) tunnels: usize,
}

/// Everything that lasts for the whole course.
struct Scene {
    tally: Arc<Tally>,
    history: Arc<History>,
    fleet: Fleet,
    gateway: Gateway,
    chaos: Chaos,
    random: Random,
    tunnels: Arc<AtomicU64>,
}

// ===== impl Course =====

impl Course {
    /// Runs it, prints the table, and returns whether all went as it must.
    pub(crate) async fn run(self) -> bool {
        fs::create_dir_all(&self.dir).expect("a folder for the soak");
        let mut scene = self.scene().await;
        let rounds = if self.time < A_MINUTE { 1 } else { ROUNDS };
        let warm_up = self.time / (rounds + 2);
        let round = (self.time - warm_up) / rounds;
        let start = scene.at_first().await;
        eprintln!("soak: seed {}, a warm-up of {warm_up:.0?}", self.seed);
        self.round(&mut scene, warm_up).await;
        // Allocators, caches and tables are now as large as this traffic makes them: memory counts from here.
        let mut rests = vec![scene.at_rest(&start).await];
        for number in 1..=rounds {
            eprintln!("soak: round {number} of {rounds}, {round:.0?}");
            self.round(&mut scene, round).await;
            rests.push(scene.at_rest(&start).await);
        }
        let Scene { gateway, tally, .. } = scene;
        let took = gateway.end().await;
        if took.is_none_or(|took| took > AT_ONCE) {
            tally.fail(format!(
                "tunnels are left that are waited for at the end: {took:?}"
            ));
        }
        check_log(&tally);
        check_memory(&tally, &rests);
        let table = self.table(&tally, &rests, took);
        // The table alone goes to stdout.
        let _ = std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes());
        tally.failures().is_empty()
    }

    async fn scene(&self) -> Scene {
        let (tally, history) = (Arc::<Tally>::default(), Arc::<History>::default());
        let file = self.dir.join("endpoints");
        let (t, h) = (Arc::clone(&tally), Arc::clone(&history));
        let fleet = Fleet::start(file.clone(), t, h).await;
        let start = |tally| Gateway::start(&self.wsgate, &self.dir, &file, tally);
        // What another one says is nobody's business.
        let reloads = start(Arc::default()).await.survives("HUP").await;
        let gateway = start(Arc::clone(&tally)).await;
        let mut random = Random::new(self.seed);
        Scene {
            chaos: Chaos {
                tally: Arc::clone(&tally),
                random: random.fork(),
                longest: LONGEST,
                reloads,
            },
            tally,
            history,
            fleet,
            gateway,
            random,
            tunnels: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Traffic and chaos for a while; then everybody leaves in order.
    async fn round(&self, scene: &mut Scene, time: Duration) {
        let longest = LONGEST.min(time / 2);
        scene.chaos.longest = longest;
        let world = Arc::new(World {
            target: scene.gateway.target(),
            addr: scene.gateway.addr(),
            tally: Arc::clone(&scene.tally),
            history: Arc::clone(&scene.history),
            leaving: CancellationToken::new(),
            longest,
            tunnels: Arc::clone(&scene.tunnels),
        });
        let mut clients = JoinSet::new();
        let random = &mut scene.random;
        let connections = (self.tunnels / 2).div_ceil(SHARING);
        for _ in 0..self.tunnels - connections * SHARING {
            clients.spawn(by_http1(Arc::clone(&world), random.fork()));
        }
        for _ in 0..connections {
            clients.spawn(by_http2(Arc::clone(&world), random.fork(), SHARING));
        }
        clients.spawn(come_and_go(Arc::clone(&world), random.fork()));
        let until = Instant::now() + time;
        scene
            .chaos
            .reign(&mut scene.fleet, &scene.gateway, until)
            .await;
        scene.fleet.restore().await;
        world.leaving.cancel();
        let left = timeout(PATIENCE, async {
            while let Some(done) = clients.join_next().await {
                if let Err(error) = done {
                    scene.tally.fail(format!("a client: {error}"));
                }
            }
        });
        if left.await.is_err() {
            let stuck = clients.len();
            scene.tally.fail(format!("{stuck} clients cannot leave"));
        }
    }

    fn table(&self, tally: &Tally, rests: &[Figures], took: Option<Duration>) -> String {
        let mut table = format!(
            "## A soak of {:.1} minutes\n\nSeed {}, {} tunnels at a time. What follows a warm-up comes first, then each round.\n\n\
             | | |\n|---|--:|\n",
            self.time.as_secs_f64() / 60.0,
            self.seed,
            self.tunnels
        );
        let mut line = |name: &str, value: String| {
            writeln!(table, "| {name} | {value} |").expect("a string takes everything");
        };
        for name in ALWAYS {
            line(name, tally.count(name).to_string());
        }
        for group in GROUPS {
            for (name, count) in tally.beginning(group) {
                line(&format!("{group}{name}"), count.to_string());
            }
        }
        let failures = tally.failures();
        for flaw in ["lost", "duplicated", "damaged", "1006"] {
            let count = failures.iter().filter(|f| f.contains(flaw)).count();
            line(flaw, count.to_string());
        }
        let all = |figure: fn(&Figures) -> u64| {
            let figures: Vec<_> = rests.iter().map(|f| figure(f).to_string()).collect();
            figures.join(", ")
        };
        line("descriptors at rest", all(|f| f.descriptors.len() as u64));
        line("threads at rest", all(|f| f.threads));
        line("resident memory at rest, KiB", all(|f| f.resident));
        line(
            "resident memory at most, KiB",
            all(|f| f.peak).split(", ").last().unwrap_or("").to_owned(),
        );
        let took = took.map_or("it did not".to_owned(), |took| {
            format!("{} ms", took.as_millis())
        });
        line("from SIGTERM to the end", took);
        line("failures", failures.len().to_string());
        for failure in failures.iter().take(TOLD) {
            writeln!(table, "\n- {failure}").expect("a string takes everything");
        }
        table
    }
}

// ===== impl Scene =====

impl Scene {
    /// The figures before the first client: descriptors that are there all the time, and not for a health check only.
    async fn at_first(&self) -> Figures {
        let mut fewest = self.gateway.figures();
        for _ in 0..LOOKS {
            sleep(LOOK).await;
            let figures = self.gateway.figures();
            if figures.descriptors.len() < fewest.descriptors.len() {
                fewest = figures;
            }
        }
        fewest
    }

    /// Waits until as many descriptors are left as at first; what remains else is told.
    async fn at_rest(&self, start: &Figures) -> Figures {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let figures = self.gateway.figures();
            if figures.descriptors.len() == start.descriptors.len() {
                eprintln!(
                    "soak: at rest {} descriptors, {} KiB; {} tunnels so far, {} survived",
                    figures.descriptors.len(),
                    figures.resident,
                    self.tally.count("tunnels opened"),
                    self.tally.count("tunnels that survived"),
                );
                return figures;
            }
            if Instant::now() > deadline {
                let (before, after) = (kinds(start), kinds(&figures));
                self.tally
                    .fail(format!("descriptors: {before:?} before, {after:?} after"));
                return figures;
            }
            sleep(LOOK).await;
        }
    }
}

/// How many there are of each kind of descriptor.
fn kinds(figures: &Figures) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for descriptor in &figures.descriptors {
        let kind = descriptor.split(':').next().unwrap_or_default();
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    kinds
}

/// Each tunnel has one closing event, which the relay's end logs: no relay is left, and nothing was ended twice.
fn check_log(tally: &Tally) {
    let opened = tally.count("tunnels opened");
    let closed = tally.count("log: tunnel closed");
    let taken = tally.count("handshakes taken by upstreams");
    if tally.count("log: the log is read too slowly: events were lost") > 0 {
        return tally.fail("the crew is too slow to read the log".to_owned());
    }
    // Some clients have left before the answer came, and some handshakes before it left.
    if !(opened <= closed && closed <= taken) {
        tally.fail(format!(
            "{opened} tunnels opened, {closed} closing events, {taken} handshakes taken"
        ));
    }
}

/// The C library keeps what was freed for the next time, in arenas of each thread, and its heap grows and shrinks by
/// how that is cut up. So the memory after a round may differ from that after the warm-up, but does not grow from round to
/// round: the bound is for all of them, however many tunnels there were.
fn check_memory(tally: &Tally, rests: &[Figures]) {
    let bound = rests[0].resident * 5 / 4 + SLACK;
    for (round, figures) in rests.iter().enumerate() {
        if figures.resident > bound {
            let (first, now) = (rests[0].resident, figures.resident);
            tally.fail(format!(
                "memory: {first} KiB at first, {now} after round {round}"
            ));
        }
        if figures.threads != rests[0].threads {
            tally.fail(format!("{} threads after round {round}", figures.threads));
        }
    }
}

/// Rows that the table has even where nothing was counted.
const ALWAYS: &[&str] = &[
    "tunnels opened",
    "tunnels that survived",
    "log: tunnel closed",
    "handshakes taken by upstreams",
    "messages to upstreams",
    "messages to clients",
    "bytes to upstreams",
    "bytes to clients",
    "pings answered by clients",
    "pauses of slow readers",
    "upstreams killed",
    "certificates renewed, SIGHUP",
];

/// Rows by how their names begin.
const GROUPS: &[&str] = &[
    "endpoints file: ",
    "handshakes left: ",
    "handshakes refused ",
    "clients left: ",
    "Close ",
    "closing events: ",
];

/// Of a soak that is not a trial.
const ROUNDS: u32 = 4;

const A_MINUTE: Duration = Duration::from_secs(60);

/// Tunnels of one connection over HTTP/2.
const SHARING: usize = 6;

/// The longest life of a tunnel.
const LONGEST: Duration = Duration::from_secs(25);

/// How often the figures are looked at, and how many times for the first ones.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 60;

/// For clients that leave, and for what they leave behind.
const PATIENCE: Duration = Duration::from_secs(60);

/// For an end without tunnels. A drain would wait for one for half a minute.
const AT_ONCE: Duration = Duration::from_secs(10);

/// In KiB.
const SLACK: u64 = 8 * 1024;

/// Of the failures, in the table.
const TOLD: usize = 50;
