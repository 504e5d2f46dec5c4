use std::{
    fmt,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::{moment::Moment, tunnel::Limit};

/// A handshake that a limit did not let pass. `Display` is the sentence for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) limit: Limit,
    /// When to come back.
    after: Duration,
}

/// Tells of refusals without letting strangers decide how much is told.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    total: Throttle,
    pending: Throttle,
    per_client: Throttle,
    rate: Throttle,
}

/// Lets one message pass in each [`WINDOW`] and counts the rest.
#[derive(Debug, Default)]
struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Moment>,
    left_out: u64,
}

/// Nobody knows when a tunnel will end. It is short enough for a person who waits, and long enough
/// that those who come back are no flood.
const PLACE_RETRY: Duration = Duration::from_secs(5);

/// A storm is over soon, and places of handshakes get free all the time.
const PENDING_RETRY: Duration = Duration::from_secs(1);

const WINDOW: Duration = Duration::from_secs(1);

// ===== impl Refused =====

impl Refused {
    pub(super) const TUNNELS: Self = Self {
        limit: Limit::Tunnels,
        after: PLACE_RETRY,
    };

    pub(super) const PENDING_HANDSHAKES: Self = Self {
        limit: Limit::PendingHandshakes,
        after: PENDING_RETRY,
    };

    pub(super) const TUNNELS_PER_CLIENT: Self = Self {
        limit: Limit::TunnelsPerClient,
        after: PLACE_RETRY,
    };

    pub(super) const fn handshake_rate(after: Duration) -> Self {
        Self {
            limit: Limit::HandshakeRate,
            after,
        }
    }

    /// 503 where it is our want, 429 where the client's doing (RFC 6585 4).
    const fn status(self) -> StatusCode {
        match self.limit {
            Limit::Tunnels | Limit::PendingHandshakes => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// `Retry-After` has whole seconds only (RFC 9110 10.2.3). Rounded up, as who comes back too early
    /// is refused again.
    fn seconds(self) -> u64 {
        let begun = u64::from(self.after.subsec_nanos() > 0);
        self.after.as_secs().saturating_add(begun).max(1)
    }

    pub(super) fn to_response<B: From<String>>(self) -> Response<B> {
        let mut res = Response::new(B::from(format!("{self}\n")));
        *res.status_mut() = self.status();
        let headers = res.headers_mut();
        headers.insert(RETRY_AFTER, self.seconds().into());
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        res.extensions_mut().insert(self.limit);
        res
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.limit {
            Limit::Tunnels => "all places for WebSockets are taken",
            Limit::PendingHandshakes => "too many WebSocket handshakes wait for their answer",
            Limit::TunnelsPerClient => "too many WebSockets are open from your address",
            _ => "too many WebSocket handshakes came from your address",
        };
        write!(f, "{what}: try again in {} s", self.seconds())
    }
}

// ===== impl RefusalLog =====

impl RefusalLog {
    pub(super) fn tell(&self, refused: Refused, client: Option<IpAddr>) {
        let limit = refused.limit;
        let client = client.map(tracing::field::display);
        match self.of(limit).admit(Moment::now()) {
            Some(0) => tracing::warn!(client, %limit, "refused a WebSocket handshake"),
            Some(left_out) => tracing::warn!(
                client,
                %limit,
                left_out,
                "refused a WebSocket handshake, and others before it"
            ),
            None => tracing::debug!(client, %limit, "refused a WebSocket handshake"),
        }
    }

    const fn of(&self, limit: Limit) -> &Throttle {
        match limit {
            Limit::Tunnels => &self.total,
            Limit::PendingHandshakes => &self.pending,
            Limit::TunnelsPerClient => &self.per_client,
            _ => &self.rate,
        }
    }
}

// ===== impl Throttle =====

impl Throttle {
    /// `Some(n)`: tell it, and that `n` were left out since the last. `None`: do not.
    fn admit(&self, now: Moment) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now < last + WINDOW) {
            state.left_out += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(refused: Refused, status: u16, retry_after: &str, text: &str) {
        let res: Response<String> = refused.to_response();
        assert_eq!(res.status(), status);
        assert_eq!(res.headers()[RETRY_AFTER], retry_after);
        assert_eq!(res.extensions().get::<Limit>(), Some(&refused.limit));
        assert_eq!(
            *res.body(),
            format!("{text}: try again in {retry_after} s\n")
        );
    }

    #[test]
    fn says_which_limit_it_is_and_when_to_come_back() {
        check(
            Refused::TUNNELS,
            503,
            "5",
            "all places for WebSockets are taken",
        );
        check(
            Refused::TUNNELS_PER_CLIENT,
            429,
            "5",
            "too many WebSockets are open from your address",
        );
        check(
            Refused::PENDING_HANDSHAKES,
            503,
            "1",
            "too many WebSocket handshakes wait for their answer",
        );
        let rate = "too many WebSocket handshakes came from your address";
        let after = |millis| Refused::handshake_rate(Duration::from_millis(millis));
        check(after(0), 429, "1", rate);
        check(after(1), 429, "1", rate);
        check(after(2000), 429, "2", rate);
        check(after(2001), 429, "3", rate);
    }

    #[test]
    fn tells_one_in_a_second_and_counts_the_rest() {
        let throttle = Throttle::default();
        let start = Moment::now();
        assert_eq!(throttle.admit(start), Some(0));
        for _ in 0..5 {
            assert_eq!(throttle.admit(start + WINDOW / 2), None);
        }
        assert_eq!(throttle.admit(start + WINDOW), Some(5));
        assert_eq!(throttle.admit(start + WINDOW * 2), Some(0));
    }
}
