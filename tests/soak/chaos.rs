//! Who does it: upstreams are killed and come back, the file of endpoints is edited, certificates are issued anew.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::fleet::Fleet;
use crate::gateway::Gateway;
use crate::random::Random;
use crate::tally::Tally;

/// What it is done to.
#[derive(Debug)]
pub(crate) struct Chaos {
    pub(crate) tally: Arc<Tally>,
    pub(crate) random: Random,
    /// How long a tunnel may live: some are to survive what happens meanwhile.
    pub(crate) longest: Duration,
    /// Whether the program takes SIGHUP for a wish to read its files again.
    pub(crate) reloads: bool,
}

// ===== impl Chaos =====

impl Chaos {
    /// Goes on until then. Two upstreams at least are left alone at any time: a client always has where to go.
    pub(crate) async fn reign(&mut self, fleet: &mut Fleet, gateway: &Gateway, until: Instant) {
        let mut down: Vec<(usize, Instant)> = Vec::new();
        let longest = self.longest.as_millis() as usize;
        while Instant::now() < until {
            sleep(self.random.millis(longest / 20..longest / 4)).await;
            let (due, later) = down.into_iter().partition(|(_, at)| *at <= Instant::now());
            down = later;
            for (index, _) in due as Vec<(usize, Instant)> {
                fleet.revive(index).await;
            }
            match self.random.within(0..100) {
                0..45 if fleet.in_use().len() > SPARED => {
                    let index = self.random.one(&fleet.running());
                    fleet.kill(index).await;
                    self.tally.one("upstreams killed");
                    down.push((index, Instant::now() + self.random.millis(200..2_500)));
                }
                45..92 => self.edit(fleet),
                92.. if self.reloads => {
                    gateway.renew_certificates();
                    gateway.signal("HUP").await;
                    self.tally.one("certificates renewed, SIGHUP");
                }
                _ => {}
            }
        }
    }

    fn edit(&mut self, fleet: &mut Fleet) {
        let in_use = fleet.in_use();
        let index = self.random.one(&fleet.running());
        let what = match self.random.within(0..10) {
            0..4 if fleet.is_listed(index) && in_use.len() > SPARED => {
                fleet.remove(index);
                "endpoints file: one removed"
            }
            4..6 if fleet.is_listed(index) => {
                let weight = self.random.within(1..9);
                fleet.list(index, &format!("weight={weight}"));
                "endpoints file: another weight"
            }
            6 if fleet.is_listed(index) && in_use.len() > SPARED => {
                let options = self.random.one(&["backup", "max-tunnels=3"]);
                fleet.list(index, options);
                "endpoints file: a backup, or few places"
            }
            7 => {
                fleet.garble(&mut self.random);
                "endpoints file: nonsense"
            }
            _ => {
                fleet.list(index, "");
                "endpoints file: one as it was at first"
            }
        };
        self.tally.one(what);
    }
}

/// So many run, and are in the file.
const SPARED: usize = 2;
