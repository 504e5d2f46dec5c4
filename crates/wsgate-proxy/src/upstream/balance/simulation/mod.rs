//! Ten thousand live tunnels under each policy, while endpoints come, die and come back.
//!
//! A group as users have it, with its leases and without sockets, on a clock of its own, seeded.
//! [`world`] has the clients, [`run`] what happens to them. What is seen is held to what the
//! policies' documentation says; `cargo xtask simulate` makes the table and the pictures of
//! docs/balancing.md of it.

mod run;
mod world;

use std::{env, fmt::Write, fs, path::Path};

use self::run::{Phase, Run, Sample};
use crate::upstream::BalanceKind;

#[test]
fn every_policy_keeps_its_promises_to_equal_endpoints() {
    simulate("equal", &[1; 10]);
}

#[test]
fn every_policy_keeps_its_promises_to_endpoints_of_several_weights() {
    simulate("mixed", MIXED);
}

/// The same seed, the same tunnels: a picture is changed by a change of the policy alone.
#[test]
fn a_run_can_be_repeated() {
    let samples = || {
        let run = Run::of(&BalanceKind::TwoChoices, MIXED);
        run.samples().map(|(_, sample)| *sample).collect::<Vec<_>>()
    };
    assert_eq!(samples(), samples());
}

#[track_caller]
fn simulate(name: &str, weights: &[u32]) {
    let mut table = String::from("policy,phase,time,fullest,emptiest\n");
    for policy in POLICIES {
        let policy: BalanceKind = policy.parse().unwrap();
        let run = Run::of(&policy, weights);
        for (phase, sample) in run.samples() {
            let Sample {
                time,
                fullest,
                emptiest,
            } = sample;
            let phase = phase.name();
            writeln!(
                table,
                "{policy},{phase},{time:.2},{fullest:.4},{emptiest:.4}"
            )
            .unwrap();
        }
        check(&policy, &run);
    }
    if let Some(folder) = env::var_os(TABLES) {
        fs::write(Path::new(&folder).join(name).with_extension("csv"), table).unwrap();
    }
}

/// Fullest and emptiest, in times of the mean for the weight. What holds for each single tunnel of
/// `LeastTunnels` and `Hash` is looked at in [`run`], where it is opened.
#[track_caller]
fn check(policy: &BalanceKind, run: &Run) {
    let steady = run.worst(Phase::Steady);
    let within = |fullest: f64, emptiest: f64| {
        assert!(steady.fullest <= fullest, "{policy}: {steady:?}");
        assert!(steady.emptiest >= emptiest, "{policy}: {steady:?}");
    };
    match policy {
        BalanceKind::LeastTunnels => {
            within(1.01, 0.99);
            // Whoever is new gets all until it has caught up.
            for phase in [Phase::ScaleOut, Phase::Death, Phase::Return] {
                let last = run.last(phase);
                assert!(last.fullest <= 1.01 && last.emptiest >= 0.99, "{last:?}");
            }
        }
        BalanceKind::TwoChoices => within(1.05, 0.95),
        BalanceKind::RoundRobin => within(1.25, 0.75),
        BalanceKind::Random => within(1.3, 0.7),
        BalanceKind::Hash(_) => {
            within(1.26, 0.0);
            // A death lets the bound of all others rise; none is above it.
            let death = run.worst(Phase::Death);
            assert!(death.fullest <= 1.26, "{death:?}");
        }
        BalanceKind::StickyCookie => within(1.05, 0.95),
    }
}

const POLICIES: [&str; 6] = [
    "least-tunnels",
    "two-choices",
    "round-robin",
    "random",
    "hash:header=x-room",
    "sticky-cookie",
];

const MIXED: &[u32] = &[1, 1, 1, 1, 2, 2, 2, 4, 4, 8];

/// The environment variable that names a folder for all samples.
const TABLES: &str = "WSGATE_SIMULATION";
