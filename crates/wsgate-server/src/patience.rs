//! Clients that ask over and over, and never wait for an answer.
//!
//! Over HTTP/2 a request costs its client some bytes, and taking it back costs 13 more. Each one that
//! was looked at has made a handler run, and a proxy connect to its upstream: "rapid reset"
//! (CVE-2023-44487), at a pace that h2's own limit does not notice, as that counts only what was
//! reset before it was looked at. It makes no difference whether the client resets a stream, or
//! makes us reset it (CVE-2025-8671): the answer was never given.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use tokio::time::Instant;
use tracing::debug;

/// How many more requests of a connection may end without their answer. An answer gives one back, and
/// so does a second; a connection never has more than it began with.
///
/// So a client that waits for half of its answers is never refused, however long it lives: a proxy in
/// front of this server, say, whose own clients come and go. One that waits for none gets
/// [`MOST`] and then one a second.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Mutex<Left>,
}

/// A request that is owed an answer. Dropped, it counts as one that was left.
#[derive(Debug)]
pub(crate) struct Asked {
    patience: Arc<Patience>,
    was_answered: bool,
}

#[derive(Debug)]
struct Left {
    requests: u32,
    /// Up to when the seconds have been counted.
    counted: Instant,
}

/// What a request gets for which there is no patience left.
pub(crate) fn refusal<B: Default>() -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, soon);
    response
}

// ===== impl Patience =====

impl Patience {
    /// Lets another request in, if there is patience left.
    pub(crate) fn ask(self: &Arc<Self>, client: SocketAddr) -> Option<Asked> {
        let mut left = self.left();
        let seconds = left.counted.elapsed().as_secs();
        if seconds > 0 {
            left.counted += Duration::from_secs(seconds);
            let more = u32::try_from(seconds).unwrap_or(MOST);
            left.requests = left.requests.saturating_add(more).min(MOST);
        }
        if left.requests == 0 {
            debug!(%client, "refused: it leaves its requests before their answers");
            return None;
        }
        Some(Asked {
            patience: Arc::clone(self),
            was_answered: false,
        })
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        // Nothing in here panics half-way.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Patience {
    fn default() -> Self {
        let left = Left {
            requests: MOST,
            counted: Instant::now(),
        };
        Self { left: left.into() }
    }
}

// ===== impl Asked =====

impl Asked {
    pub(crate) fn answered(mut self) {
        self.was_answered = true;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut left = self.patience.left();
        left.requests = match self.was_answered {
            true => (left.requests + 1).min(MOST),
            false => left.requests.saturating_sub(1),
        };
    }
}

/// More than a browser has open when somebody closes a page, over and over.
const MOST: u32 = 100;

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn client() -> SocketAddr {
        ([192, 0, 2, 1], 1).into()
    }

    /// Leaves so many requests before their answer.
    #[track_caller]
    fn leave(patience: &Arc<Patience>, requests: u32) {
        for _ in 0..requests {
            drop(patience.ask(client()).expect("patience"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_waits_gets_one_a_second() {
        let patience = Arc::default();
        leave(&patience, MOST);
        assert!(patience.ask(client()).is_none());
        advance(Duration::from_millis(999)).await;
        assert!(patience.ask(client()).is_none());
        advance(Duration::from_millis(1)).await;
        leave(&patience, 1);
        assert!(patience.ask(client()).is_none());
        advance(Duration::from_secs(24 * 60 * 60)).await;
        leave(&patience, MOST);
        assert!(patience.ask(client()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_every_other_answer_is_never_refused() {
        let patience = Arc::<Patience>::default();
        for _ in 0..10 * MOST {
            leave(&patience, 1);
            patience.ask(client()).expect("patience").answered();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_do_not_add_up_to_more_than_there_was() {
        let patience = Arc::<Patience>::default();
        for _ in 0..10 * MOST {
            patience.ask(client()).expect("patience").answered();
        }
        leave(&patience, MOST);
        assert!(patience.ask(client()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_let_in_together_is_counted_when_it_is_left() {
        let patience = Arc::<Patience>::default();
        let asked: Vec<_> = (0..2 * MOST).map(|_| patience.ask(client())).collect();
        assert!(asked.iter().all(Option::is_some));
        drop(asked);
        assert!(patience.ask(client()).is_none());
        assert_eq!(refusal::<String>().status(), StatusCode::TOO_MANY_REQUESTS);
    }
}
