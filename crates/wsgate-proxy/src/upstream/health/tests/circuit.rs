use std::time::Duration;

use super::SECOND;
use crate::upstream::health::{
    Ejection, Moment,
    circuit::{Change, Circuit, Ticket},
};

/// A circuit, and a clock that is set by hand. No chance, unless asked for.
struct Story {
    circuit: Circuit,
    rules: Ejection,
    now: Moment,
    chance: f64,
}

impl Story {
    fn of(rules: Ejection) -> Self {
        Self {
            circuit: Circuit::new(),
            rules,
            now: Moment::now(),
            chance: 0.0,
        }
    }

    fn passes(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    fn admit(&mut self) -> Option<Ticket> {
        self.circuit.admit(self.now)
    }

    fn fails(&mut self, ticket: Ticket) -> Change {
        self.fails_when(ticket, true)
    }

    fn fails_when(&mut self, ticket: Ticket, may_eject: bool) -> Change {
        let Self {
            circuit,
            rules,
            now,
            chance,
        } = self;
        circuit.failed(ticket, "answered 500", *now, rules, *chance, || may_eject)
    }

    fn succeeds(&mut self, ticket: Ticket) -> Change {
        self.circuit.succeeded(ticket, self.now)
    }

    /// A handshake from its beginning to its failure.
    fn fails_at_once(&mut self) -> Change {
        let ticket = self.admit().expect("it is let through");
        self.fails(ticket)
    }
}

#[test]
fn a_failure_ejects_and_the_back_off_grows_to_its_longest() {
    let mut story = Story::of(Ejection::default());
    assert_eq!(story.fails_at_once(), Change::Ejected(SECOND));
    let mut last = SECOND;
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        story.passes(last - Duration::from_nanos(1));
        assert_eq!(story.admit(), None, "not a moment early");
        story.passes(Duration::from_nanos(1));
        last = Duration::from_secs(seconds);
        assert_eq!(story.fails_at_once(), Change::EjectedAgain(last));
    }
    let why = story.circuit.ejection().map(|(_, why)| why);
    assert_eq!(why, Some("answered 500"));
}

#[test]
fn chance_takes_a_quarter_at_most() {
    let rules = Ejection::default();
    assert_eq!(rules.lasts(1, 1.0), Duration::from_millis(750));
    assert_eq!(rules.lasts(2, 0.5), Duration::from_millis(1750));
    assert_eq!(rules.lasts(7, 0.0), Duration::from_secs(60));
    assert_eq!(rules.lasts(u32::MAX, 1.0), Duration::from_secs(45));
}

#[test]
fn a_probe_that_succeeds_closes_the_circuit() {
    let mut story = Story::of(Ejection::default());
    story.fails_at_once();
    story.passes(SECOND);
    let probe = story.admit().unwrap();
    assert!(probe.is_probe);
    assert_eq!(story.admit(), None, "one at a time");
    assert_eq!(story.succeeds(probe), Change::Back);
    let next = story.admit().unwrap();
    assert!(!next.is_probe);
    assert!(story.circuit.is_spotless());
}

#[test]
fn a_probe_that_is_given_up_frees_the_place() {
    let mut story = Story::of(Ejection::default());
    story.fails_at_once();
    story.passes(SECOND);
    let given_up = story.admit().unwrap();
    story.circuit.given_up(given_up);
    let next = story.admit().expect("at once");
    assert!(next.is_probe);
    assert_eq!(
        story.fails(next),
        Change::EjectedAgain(2 * SECOND),
        "the first told nothing"
    );
}

#[test]
fn the_back_off_is_forgotten_after_a_while_of_health() {
    let rules = Ejection::default().back_off(SECOND, 10 * SECOND);
    let mut story = Story::of(rules);
    story.fails_at_once();
    story.passes(SECOND);
    let probe = story.admit().unwrap();
    story.succeeds(probe);

    story.passes(9 * SECOND);
    assert_eq!(story.fails_at_once(), Change::Ejected(2 * SECOND), "soon");
    story.passes(2 * SECOND);
    let probe = story.admit().unwrap();
    story.succeeds(probe);

    story.passes(10 * SECOND);
    assert_eq!(story.fails_at_once(), Change::Ejected(SECOND), "forgotten");
}

#[test]
fn failures_count_in_a_row() {
    let mut story = Story::of(Ejection::default().failures(3));
    for _ in 0..2 {
        assert_eq!(story.fails_at_once(), Change::Nothing);
    }
    let ticket = story.admit().unwrap();
    story.succeeds(ticket);
    for _ in 0..2 {
        assert_eq!(story.fails_at_once(), Change::Nothing);
    }
    assert_eq!(story.fails_at_once(), Change::Ejected(SECOND));
}

#[test]
fn who_must_stay_is_told_of_once_and_ejected_when_it_may() {
    let mut story = Story::of(Ejection::default().failures(2));
    let ticket = story.admit().unwrap();
    let changes = [0; 4].map(|_| story.fails_when(ticket, false));
    let [
        Change::Nothing,
        Change::Spared,
        Change::Nothing,
        Change::Nothing,
    ] = changes
    else {
        panic!("{changes:?}");
    };
    assert_eq!(story.fails(ticket), Change::Ejected(SECOND));
}

#[test]
fn what_began_before_the_ejection_tells_nothing_after_it() {
    let mut story = Story::of(Ejection::default());
    let [early, late] = [0; 2].map(|_| story.admit().unwrap());
    story.fails_at_once();
    assert_eq!(story.succeeds(early), Change::Nothing);
    assert_eq!(story.fails(early), Change::Nothing, "nor is it longer");

    story.passes(SECOND);
    let probe = story.admit().unwrap();
    assert_eq!(
        story.succeeds(late),
        Change::Nothing,
        "nor does it end the probe"
    );
    story.circuit.given_up(late);
    assert_eq!(story.admit(), None);
    story.succeeds(probe);
    assert_eq!(story.fails(late), Change::Nothing, "nor eject it again");
}

/// Where nobody is well, ejected endpoints are tried without being probed.
#[test]
fn a_try_of_an_ejected_endpoint_can_only_help_it() {
    let mut story = Story::of(Ejection::default());
    story.fails_at_once();
    let desperate = Ticket {
        generation: story.circuit.generation(),
        is_probe: false,
    };
    assert_eq!(story.fails(desperate), Change::Nothing);
    assert_eq!(story.admit(), None);
    assert_eq!(story.succeeds(desperate), Change::Back);
}
