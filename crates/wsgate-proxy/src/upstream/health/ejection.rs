use std::time::Duration;

/// When an endpoint is passed over because handshakes to it have failed, and for how long.
///
/// The [module](super) tells what counts as a failure, and draws the states.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use wsgate_proxy::upstream::{EndpointSettings, Upstream, health::Ejection};
///
/// let patient = Ejection::default()
///     .failures(3)
///     .back_off(Duration::from_secs(5), Duration::from_secs(300))
///     .max_share(0.5);
///
/// let backend = Upstream::builder("backend")
///     .endpoint(EndpointSettings::new("http://10.0.0.1:9000")?)
///     .endpoint(EndpointSettings::new("http://10.0.0.2:9000")?)
///     .eject(patient)
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ejection {
    pub(super) failures: u32,
    shortest: Duration,
    pub(super) longest: Duration,
    max_share: f64,
    pub(super) counts_answers: bool,
}

// ===== impl Ejection =====

impl Ejection {
    /// The first back-off by default: 1 s. An endpoint that restarts is back in a few of them, and one
    /// that failed once by chance is hardly missed.
    pub const DEFAULT_SHORTEST: Duration = Duration::from_secs(1);

    /// The longest back-off by default: 60 s. What is down for hours costs one client a minute one
    /// failed try, and is back a minute after it was repaired.
    pub const DEFAULT_LONGEST: Duration = Duration::from_secs(60);

    /// After how many failures in a row. Default: 1, as nginx's `max_fails`: a failure has cost a
    /// client a try, and another endpoint is there to take the next. At least 1.
    #[must_use]
    pub fn failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// For how long the first time, and at most: it doubles with each time that follows on the last.
    /// Default: [1 s](Self::DEFAULT_SHORTEST) to [60 s](Self::DEFAULT_LONGEST).
    ///
    /// Each time is cut by up to a quarter at random, so that endpoints which failed together, and
    /// gateways which saw it together, do not try again together. Once an endpoint has been well for as
    /// long as the longest, the next time is the shortest again.
    #[must_use]
    pub fn back_off(mut self, shortest: Duration, longest: Duration) -> Self {
        self.shortest = shortest;
        self.longest = longest.max(shortest);
        self
    }

    /// The most primaries that may be out at once, as a share of all (0.0 to 1.0, rounded down): the
    /// panic threshold. Those that fail their checks count too. Default: 1.0.
    ///
    /// Whatever the share is, the last one standing, backups included, is never ejected: so by default
    /// all but one may be. A smaller share is for groups where a few endpoints could not bear the
    /// tunnels of all; those beyond it stay, and fail a try now and then.
    #[must_use]
    pub const fn max_share(mut self, share: f64) -> Self {
        self.max_share = share.clamp(0.0, 1.0);
        self
    }

    /// Takes any answer as a sign of life, 5xx as well: for applications in which clients can provoke a
    /// 500. One client could have one endpoint at a time ejected by it, but many clients many.
    #[must_use]
    pub const fn ignore_answers(mut self) -> Self {
        self.counts_answers = false;
        self
    }

    /// How many of so many may be out.
    pub(super) fn most(&self, total: usize) -> usize {
        // Of 10, a share of 0.7 is 7, although the product is a little less.
        (total as f64 * self.max_share + 1e-9) as usize
    }

    /// How long the ejection lasts that is this one in a row, counted from 1; chance is from 0 to 1.
    pub(super) fn lasts(&self, strike: u32, chance: f64) -> Duration {
        let doubled = 1_u32.checked_shl(strike - 1).unwrap_or(u32::MAX);
        let lasts = self.shortest.saturating_mul(doubled).min(self.longest);
        lasts.mul_f64(1.0 - chance * JITTER)
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self {
            failures: 1,
            shortest: Self::DEFAULT_SHORTEST,
            longest: Self::DEFAULT_LONGEST,
            max_share: 1.0,
            counts_answers: true,
        }
    }
}

/// The most that chance takes off a back-off: enough to part those that failed together, and too
/// little to make the next one shorter than this one.
const JITTER: f64 = 0.25;
