//! The TLS that is in use, and how another takes its place.

use std::error::Error as StdError;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum_server::tls_rustls::RustlsConfig;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{dispatcher, error, info};
use x509_parser::time::ASN1Time;

use crate::error::{ServerError, ServerErrorKind};
use crate::tls::identity::warn_of_doubts;
use crate::tls::names::{Facts, summary};
use crate::tls::tickets::Tickets;
use crate::tls::{Loaded, Pem, Tls, TlsBy};
use crate::tls_acceptor::noting;

/// The settings of a server, and what was last made of them. Shared by all of its workers.
///
/// Each handshake takes the configuration once, at its beginning, and sees that one to its end.
pub(crate) struct Live {
    tls: Tls,
    /// axum-server's own kind of `ArcSwap`, which its acceptor looks into by itself.
    config: RustlsConfig,
    /// Locked while files are read: of two reloads the later one sees the later files.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tickets: Option<Tickets>,
    /// What was in the files when they were last read, whether they were of use or not.
    seen: Seen,
    read: Vec<(Pem, Facts)>,
    /// When what is doubtful about the certificates is said again.
    remind: Instant,
}

/// What is in the files, as a number.
#[derive(Clone, Debug)]
struct Seen {
    /// Keyed by chance: no content can be made to look like another.
    by: RandomState,
    content: u64,
}

// ===== impl Live =====

impl Live {
    /// Reads all for the first time. Returns the names that the certificates cover as well.
    pub(crate) async fn start(tls: Tls) -> Result<(Arc<Self>, Arc<[String]>), ServerError> {
        let (loaded, seen, tls) = aside(move || {
            let seen = Seen::of(&tls);
            (tls.load(), seen, tls)
        })
        .await?;
        let loaded = loaded?;
        let names = Arc::clone(&loaded.names);
        let live = Self {
            config: RustlsConfig::from_config(published(&loaded)),
            state: Mutex::new(State {
                tickets: loaded.tickets,
                seen,
                read: loaded.read,
                remind: Instant::now() + REMINDER,
            }),
            tls,
        };
        Ok((Arc::new(live), names))
    }

    pub(crate) fn config(&self) -> &RustlsConfig {
        &self.config
    }

    pub(crate) fn by(&self) -> TlsBy {
        self.tls.by
    }

    /// How often [`look`](Self::look) is to be called.
    pub(crate) fn watch(&self) -> Option<Duration> {
        self.tls.watch
    }

    /// Reads everything, and takes it into use if all of it is right. Tells the log either way.
    pub(crate) async fn reload(&self) -> Result<(), ServerError> {
        let mut state = self.state.lock().await;
        self.reload_in(&mut state).await
    }

    /// Reloads if something has changed in the files since they were last read. Once a day it says again
    /// what is doubtful about those in use: that they are about to expire, mostly.
    pub(crate) async fn look(&self) {
        let mut state = self.state.lock().await;
        state.remind(Instant::now());
        let Some(first) = self.changed(&state.seen).await else {
            return;
        };
        // Whoever writes is given the time to come to an end.
        sleep(SETTLED).await;
        let second = self.changed(&state.seen).await;
        if second == Some(first) {
            // It is in the log.
            let _ = self.reload_in(&mut state).await;
        }
    }

    async fn reload_in(&self, state: &mut State) -> Result<(), ServerError> {
        let result = self.read(state).await;
        match &result {
            Ok(loaded) => info!(
                names = %summary(&loaded.names),
                expires = loaded.expires.and_then(date),
                "the certificates were read anew, and are in use"
            ),
            Err(error) => error!(
                error = error as &dyn StdError,
                "the certificates cannot be read anew: those from before stay in use"
            ),
        }
        let loaded = result?;
        state.tickets = loaded.tickets.clone();
        // Said as they were read.
        state.read = loaded.read.clone();
        state.remind = Instant::now() + REMINDER;
        self.config.reload_from_config(published(&loaded));
        Ok(())
    }

    async fn read(&self, state: &mut State) -> Result<Loaded, ServerError> {
        if self.tls.is_own_config() {
            return Err(ServerError::new(
                ServerErrorKind::Configuration,
                "a ServerConfig of one's own is not read from anywhere: let its certificate \
                 resolver give out new ones",
            ));
        }
        let (tls, tickets, seen) = (
            self.tls.clone(),
            state.tickets.clone(),
            state.seen.by.clone(),
        );
        let (loaded, seen) = aside(move || {
            // First, so that what changes while it is read is found at the next look.
            let seen = seen_by(seen, &tls);
            (tls.load_after(tickets.as_ref()), seen)
        })
        .await?;
        state.seen = seen;
        loaded
    }

    /// What is in the files, if that is not what was.
    async fn changed(&self, seen: &Seen) -> Option<u64> {
        let (tls, by) = (self.tls.clone(), seen.by.clone());
        let now = aside(move || seen_by(by, &tls)).await.ok()?;
        (now.content != seen.content).then_some(now.content)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

// ===== impl State =====

impl State {
    fn remind(&mut self, now: Instant) {
        if now < self.remind {
            return;
        }
        self.remind = now + REMINDER;
        for (chain, facts) in &self.read {
            warn_of_doubts(chain, facts, SystemTime::now());
        }
    }
}

// ===== impl Seen =====

impl Seen {
    fn of(tls: &Tls) -> Self {
        seen_by(RandomState::new(), tls)
    }
}

fn seen_by(by: RandomState, tls: &Tls) -> Seen {
    let mut state = by.build_hasher();
    tls.note(&mut state);
    let content = state.finish();
    Seen { by, content }
}

/// For the stream that carries the connections.
fn published(loaded: &Loaded) -> Arc<rustls::ServerConfig> {
    match loaded.by {
        TlsBy::TlsStream => noting(&loaded.config),
        TlsBy::TokioRustls => Arc::clone(&loaded.config),
    }
}

/// Runs where blocking is allowed, with the caller's subscriber, which belongs to the thread.
async fn aside<T, F>(read: F) -> Result<T, ServerError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let dispatch = dispatcher::get_default(Clone::clone);
    spawn_blocking(move || dispatcher::with_default(&dispatch, read))
        .await
        .map_err(|error| {
            ServerError::new(
                ServerErrorKind::Certificate,
                "reading the certificates failed in an unexpected way",
            )
            .because(error)
        })
}

/// A moment as certificates write it.
fn date(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let time = ASN1Time::from_timestamp(seconds.try_into().ok()?).ok()?;
    Some(time.to_string())
}

/// Often enough for whoever reads the log of a day.
const REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// How long files have to stay the same before they are taken for written.
const SETTLED: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_one_that_people_can_read() {
        let time = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let text = date(time).unwrap();
        assert!(text.contains("2027"), "{text}");
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
