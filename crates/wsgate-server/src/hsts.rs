//! HTTP Strict Transport Security (RFC 6797).

use std::time::Duration;

use http::HeaderValue;

/// Tells browsers to come by https only, for a time (RFC 6797).
///
/// Once a browser has seen the header it turns `http://` into `https://` and `ws://` into
/// `wss://` by itself, and shows no way round a certificate it does not trust. That cannot be
/// taken back before `max_age` is over, so begin with minutes and raise it. The header goes on
/// https answers only (RFC 6797 7.2), and an answer that carries one already keeps its own.
///
/// Browsers ignore it for hosts named by an IP address (RFC 6797 8.1.1).
///
/// ```
/// use std::time::Duration;
/// use wsgate_server::Hsts;
///
/// let year = Duration::from_secs(365 * 24 * 60 * 60);
/// let hsts = Hsts::max_age(year).include_subdomains();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts {
    max_age: Duration,
    include_subdomains: bool,
    preload: bool,
}

// ===== impl Hsts =====

impl Hsts {
    /// How long browsers remember, in whole seconds. Zero makes them forget at once
    /// (RFC 6797 6.1.1).
    pub fn max_age(max_age: Duration) -> Self {
        Self {
            max_age,
            include_subdomains: false,
            preload: false,
        }
    }

    /// Includes all names under this host (`includeSubDomains`). Off by default: it breaks every
    /// one of them that has no https yet.
    #[must_use]
    pub fn include_subdomains(mut self) -> Self {
        self.include_subdomains = true;
        self
    }

    /// Agrees to the browsers' built-in list (`preload`), and includes the subdomains, which the
    /// list demands. The list wants a `max_age` of at least a year; the server warns when it
    /// is less. Leaving the list takes months.
    #[must_use]
    pub fn preload(mut self) -> Self {
        self.preload = true;
        self.include_subdomains()
    }

    pub(crate) fn header_value(&self) -> HeaderValue {
        let mut value = format!("max-age={}", self.max_age.as_secs());
        if self.include_subdomains {
            value.push_str("; includeSubDomains");
        }
        if self.preload {
            value.push_str("; preload");
        }
        HeaderValue::try_from(value).expect("digits and words of ours are a field value")
    }

    /// Whether the preload list would turn this down.
    pub(crate) fn too_short_to_preload(&self) -> bool {
        self.preload && self.max_age < PRELOAD_MIN
    }
}

/// One year, from <https://hstspreload.org/#submission-requirements>.
const PRELOAD_MIN: Duration = Duration::from_secs(31_536_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_holds_what_was_asked_for() {
        #[track_caller]
        fn check(hsts: &Hsts, value: &str) {
            assert_eq!(hsts.header_value(), value);
        }
        let hour = Hsts::max_age(Duration::from_millis(3_600_900));

        check(&hour, "max-age=3600");
        check(
            &hour.clone().include_subdomains(),
            "max-age=3600; includeSubDomains",
        );
        check(&hour.preload(), "max-age=3600; includeSubDomains; preload");
        check(&Hsts::max_age(Duration::ZERO), "max-age=0");
    }

    #[test]
    fn the_preload_list_wants_a_year() {
        assert!(
            Hsts::max_age(PRELOAD_MIN / 2)
                .preload()
                .too_short_to_preload()
        );
        assert!(!Hsts::max_age(PRELOAD_MIN).preload().too_short_to_preload());
        assert!(!Hsts::max_age(Duration::ZERO).too_short_to_preload());
    }
}
