//! What a wire does to frames.

use std::time::Duration;

use rand::Rng;

/// What happens to each frame in one direction. By default nothing does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    cut: bool,
    /// Longer frames are dropped, and nobody is told.
    longest: Option<usize>,
    loss: f64,
    duplicates: f64,
    damage: f64,
    /// How many are held back, and for how long, while others overtake them.
    late: Option<(f64, Duration)>,
    /// On top of each other: for all frames, and by chance more or less of it.
    delay: Duration,
    jitter: Duration,
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fate {
    /// How often it arrives.
    pub(super) copies: usize,
    pub(super) delay: Duration,
    /// The bit that is turned.
    pub(super) damaged: Option<usize>,
    /// Whether anything but its delay was done to it.
    pub(super) is_hurt: bool,
}

// ===== impl Weather =====

impl Weather {
    pub(crate) const CLEAR: Self = Self {
        cut: false,
        longest: None,
        loss: 0.0,
        duplicates: 0.0,
        damage: 0.0,
        late: None,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };

    /// Nothing passes.
    pub(crate) const CUT: Self = Self {
        cut: true,
        ..Self::CLEAR
    };

    /// This share of the frames is lost.
    pub(crate) const fn loss(share: f64) -> Self {
        Self {
            loss: share,
            ..Self::CLEAR
        }
    }

    /// This share comes twice.
    pub(crate) const fn duplicates(share: f64) -> Self {
        Self {
            duplicates: share,
            ..Self::CLEAR
        }
    }

    /// One bit of this share is turned.
    pub(crate) const fn damage(share: f64) -> Self {
        Self {
            damage: share,
            ..Self::CLEAR
        }
    }

    /// This share is overtaken by what is sent within the time.
    pub(crate) const fn late(share: f64, by: Duration) -> Self {
        Self {
            late: Some((share, by)),
            ..Self::CLEAR
        }
    }

    /// Every frame takes so long, more or less.
    pub(crate) const fn delay(delay: Duration, jitter: Duration) -> Self {
        Self {
            delay,
            jitter,
            ..Self::CLEAR
        }
    }

    /// Only frames of so many bytes pass.
    pub(crate) const fn no_longer_than(bytes: usize) -> Self {
        Self {
            longest: Some(bytes),
            ..Self::CLEAR
        }
    }

    /// What becomes of a frame of this length.
    pub(super) fn meet(&self, length: usize, chance: &mut impl Rng) -> Fate {
        let too_long = self.longest.is_some_and(|longest| length > longest);
        if self.cut || too_long || chance.random_bool(self.loss) {
            return Fate {
                is_hurt: true,
                ..Fate::default()
            };
        }
        let doubled = chance.random_bool(self.duplicates);
        // What is before belongs to Ethernet, which nothing above checks.
        let damaged = (chance.random_bool(self.damage) && length > HEADER)
            .then(|| chance.random_range(HEADER * 8..length * 8));
        let late = self.late.filter(|(share, _)| chance.random_bool(*share));
        let jitter = self.jitter.mul_f64(chance.random_range(0.0..=2.0));
        let delay = (self.delay + jitter).saturating_sub(self.jitter);
        Fate {
            copies: 1 + usize::from(doubled),
            delay: delay + late.map_or(Duration::ZERO, |(_, by)| by),
            damaged,
            is_hurt: doubled || damaged.is_some() || late.is_some() || !delay.is_zero(),
        }
    }
}

/// Of Ethernet.
const HEADER: usize = 14;

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    /// What becomes of ten thousand frames of 100 bytes.
    fn fates(weather: Weather) -> Vec<Fate> {
        let mut chance = StdRng::seed_from_u64(1);
        (0..10_000)
            .map(|_| weather.meet(100, &mut chance))
            .collect()
    }

    #[test]
    fn a_clear_day_leaves_frames_alone() {
        let alone = Fate {
            copies: 1,
            ..Fate::default()
        };
        assert!(fates(Weather::CLEAR).iter().all(|fate| *fate == alone));
    }

    #[test]
    fn each_share_is_what_was_asked_for() {
        #[track_caller]
        fn check(weather: Weather, is_met: fn(&Fate) -> bool) {
            let met = fates(weather).iter().filter(|fate| is_met(fate)).count();
            assert!((1_800..2_200).contains(&met), "{met}");
        }
        check(Weather::loss(0.2), |fate| fate.copies == 0);
        check(Weather::duplicates(0.2), |fate| fate.copies == 2);
        check(Weather::damage(0.2), |fate| fate.damaged.is_some());
        let second = Duration::from_secs(1);
        check(Weather::late(0.2, second), |fate| !fate.delay.is_zero());
    }

    #[test]
    fn nothing_passes_a_cut_and_no_long_frame_a_narrow_one() {
        assert!(fates(Weather::CUT).iter().all(|fate| fate.copies == 0));
        assert!(
            fates(Weather::no_longer_than(99))
                .iter()
                .all(|fate| fate.copies == 0)
        );
        assert!(
            fates(Weather::no_longer_than(100))
                .iter()
                .all(|fate| fate.copies == 1)
        );
    }

    #[test]
    fn damage_is_never_in_the_header_of_ethernet() {
        let damaged = fates(Weather::damage(1.0));
        assert!(
            damaged
                .iter()
                .all(|fate| (14 * 8..800).contains(&fate.damaged.unwrap()))
        );
    }

    #[test]
    fn delays_vary_by_the_jitter() {
        let millis = Duration::from_millis;
        let fates = fates(Weather::delay(millis(200), millis(50)));
        assert!(
            fates
                .iter()
                .all(|fate| (millis(150)..=millis(250)).contains(&fate.delay))
        );
        assert!(fates.iter().any(|fate| fate.delay < millis(160)));
        assert!(fates.iter().any(|fate| fate.delay > millis(240)));
    }
}
