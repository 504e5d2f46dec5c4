//! The log, on stderr.

use std::{
    env,
    io::{self, IsTerminal},
};

use tracing_subscriber::{
    EnvFilter,
    filter::{FromEnvError, LevelFilter},
};

use crate::args::{LogArgs, LogFormat};

/// A filter in the environment that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("the log filter in RUST_LOG cannot be understood")]
pub(crate) struct LogError(#[from] FromEnvError);

/// Sends the events of the whole process to stderr.
pub(crate) fn init(args: &LogArgs) -> Result<(), LogError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(args.level)?)
        .with_writer(io::stderr)
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
    Ok(())
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
