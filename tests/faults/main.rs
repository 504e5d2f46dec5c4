//! Three hosts, and a network between them that fails: `cargo xtask faults`.
//!
//! ```text
//! faults [--quick] [WORD]..     scenarios whose names have one of the words in them
//! faults --missing              what of the machine lacks; nothing where all is there
//! ```
//!
//! Each scenario has its own hosts, in [network namespaces](net): clients, the real program `wsgate`, and
//! upstreams. It opens tunnels, hurts a link, and looks at what each side sees of it: whether every
//! message comes once and in order, who is found dead, when, and with what Close. The table of all
//! that is on stdout, in Markdown.
//!
//! Needs root, and nothing of the kernel but namespaces and virtual interfaces.

mod book;
mod gateway;
mod message;
mod net;
mod peer;
mod report;
mod scenarios;
mod stage;

use std::env;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::report::{Line, table};
use self::scenarios::{ALL, Scenario};

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let (options, words): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.starts_with('-'));
    let is_quick = match options[..] {
        [] => false,
        [option] if option == "--quick" => true,
        [option] if option == "--missing" => {
            say(&net::missing().unwrap_or_default());
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("usage: faults [--quick | --missing] [WORD]..");
            return ExitCode::from(2);
        }
    };
    net::sweep();
    let is_chosen = |scenario: &&Scenario| {
        let named = words.is_empty()
            || words
                .iter()
                .any(|word| scenario.name.contains(word.as_str()));
        named && (scenario.is_quick || !is_quick)
    };
    let chosen: Vec<_> = ALL.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        eprintln!("no scenario is called so; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(run(&chosen))
}

/// Plays the scenarios, some at a time, and prints what they came to.
async fn run(scenarios: &[&'static Scenario]) -> ExitCode {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, scenario) in scenarios.iter().copied().enumerate() {
        let places = Arc::clone(&places);
        tasks.spawn(async move {
            let _place = places.acquire_owned().await.expect("it is never closed");
            let started = Instant::now();
            // On a task of its own: a panic is to be the scenario's alone.
            let played = tokio::spawn((scenario.play)()).await;
            let took = started.elapsed().as_secs_f64();
            let verdict = if played.is_ok() { "ok" } else { "FAILED" };
            eprintln!("faults: {:<28} {verdict:<7} {took:6.1} s", scenario.name);
            (index, played.ok())
        });
    }
    let mut played = tasks.join_all().await;
    played.sort_by_key(|(index, _)| *index);
    let failed = played.iter().filter(|(_, lines)| lines.is_none());
    let failed: Vec<_> = failed.map(|(index, _)| scenarios[*index].name).collect();
    let lines: Vec<Line> = played
        .iter()
        .filter_map(|(_, lines)| lines.clone())
        .flatten()
        .collect();
    say(&table(&lines));
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("faults: failed: {}", failed.join(", "));
    ExitCode::FAILURE
}

/// To who has asked for it, and may have left.
fn say(text: &str) {
    let _ = write!(std::io::stdout(), "{text}");
}

/// Most of the time each waits for a deadline.
const AT_ONCE: usize = 6;
