//! The log, on stderr.

mod queue;

use std::{
    env,
    io::{self, IsTerminal},
    time::Duration,
};

use tracing::warn;
use tracing_subscriber::{
    EnvFilter,
    filter::{FromEnvError, LevelFilter},
};

use self::queue::Queue;
use crate::args::{LogArgs, LogFormat};

/// Writes what is left when it is dropped.
#[derive(Debug)]
pub(crate) struct Log {
    queue: Queue,
}

/// Why there can be no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("the log filter in RUST_LOG cannot be understood")]
    Filter(#[from] FromEnvError),
    #[error("there is no thread to write the log")]
    Thread(#[from] io::Error),
}

/// Sends the events of the whole process to stderr.
pub(crate) fn init(args: &LogArgs) -> Result<Log, LogError> {
    let filter = filter(args.level)?;
    let queue = Queue::start(io::stderr(), |lost| {
        warn!(
            lost,
            "events were lost: the log is read too slowly, or could not be written"
        );
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue.clone())
        .with_ansi(wants_colour())
        // Those could only go to the same stderr, and panic where that is closed.
        .log_internal_errors(false);
    match args.format {
        LogFormat::Text => builder.init(),
        // One span a tunnel: an event's own is all there is.
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .init(),
    }
    if let Some(library) = LIBRARIES.into_iter().find(|library| library.tells()) {
        warn!(
            library = library.name,
            "RUST_LOG has a library tell of more than its warnings: what clients send, cookies and tokens \
             too, may come into the log"
        );
    }
    Ok(Log { queue })
}

/// A library below that would log what is in requests.
struct Library {
    name: &'static str,
    tells: fn() -> bool,
}

// ===== impl Library =====

impl Library {
    fn tells(&self) -> bool {
        (self.tells)()
    }
}

// ===== impl Log =====

impl Drop for Log {
    fn drop(&mut self) {
        self.queue.flush(PATIENCE);
    }
}

fn filter(level: Option<LevelFilter>) -> Result<EnvFilter, LogError> {
    if let Some(level) = level {
        return Ok(EnvFilter::new(directives(level)));
    }
    match env::var_os(EnvFilter::DEFAULT_ENV) {
        Some(filter) if !filter.is_empty() => Ok(EnvFilter::try_from_default_env()?),
        _ => Ok(EnvFilter::new(directives(LevelFilter::INFO))),
    }
}

/// A level is meant for the gateway. The libraries below log each HTTP/2 frame at `debug`, and stay
/// at `info`; RUST_LOG can say otherwise.
fn directives(level: LevelFilter) -> String {
    format!("{},wsgate={level}", level.min(LevelFilter::INFO))
}

/// <https://no-color.org>
fn wants_colour() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// Those that write what peers send, as far as we know: fields of requests, frames, messages of TLS.
const LIBRARIES: [Library; 4] = [
    Library {
        name: "h2",
        tells: || tracing::enabled!(target: "h2::codec::framed_read", tracing::Level::DEBUG),
    },
    Library {
        name: "hyper",
        tells: || tracing::enabled!(target: "hyper::proto::h1::io", tracing::Level::DEBUG),
    },
    Library {
        name: "rustls",
        tells: || tracing::enabled!(target: "rustls::server::hs", tracing::Level::DEBUG),
    },
    Library {
        name: "axum",
        tells: || tracing::enabled!(target: "axum::rejection", tracing::Level::TRACE),
    },
];

/// For a reader that is slow, not for one that is gone.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_stay_at_info() {
        #[track_caller]
        fn check(level: LevelFilter, expected: &str) {
            assert_eq!(directives(level), expected);
            assert!(EnvFilter::try_new(expected).is_ok());
        }
        check(LevelFilter::OFF, "off,wsgate=off");
        check(LevelFilter::WARN, "warn,wsgate=warn");
        check(LevelFilter::INFO, "info,wsgate=info");
        check(LevelFilter::TRACE, "info,wsgate=trace");
    }
}
