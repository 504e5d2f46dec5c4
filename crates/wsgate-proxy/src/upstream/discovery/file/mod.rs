//! Endpoints from a file that is watched.

mod parse;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    future::Future,
    io::{self, Read},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

pub use self::parse::EndpointLineError;
#[cfg(any(test, fuzzing))]
pub(crate) use self::parse::parse as parse_endpoints;

use self::parse::parse;
use super::{
    Chore, EndpointSettings, Found, Upstream, UpstreamBuilder, UpstreamError, WeakUpstream, chain,
};
use crate::{EndpointError, UpstreamTls};

/// A text file that names endpoints, one a line.
///
/// ```text
/// # What stands behind a `#` is for people.
/// http://10.0.0.1:9000
/// http://10.0.0.2:9000  weight=2  max-tunnels=20000
/// http://10.0.0.9:9000  backup      # while no other can take a tunnel
/// ```
///
/// It is read when the group is built, where anything wrong with it is an error, and once a second from
/// then on. A file that cannot be understood, names no endpoint or is gone changes nothing: all of it
/// counts or none of it, and the log tells the line.
///
/// What counts is what is in the file, compared whole: a date can stay the same when the text does not,
/// and a notification of the operating system is not to be had from every file system, nor for a file
/// that is reached through links that change, as a Kubernetes ConfigMap is. It is acted upon when it
/// was the same twice within 100 ms, so an editor may take its time to write; a program had better
/// write another file and rename it.
///
/// # Example
///
/// ```
/// use wsgate_proxy::upstream::{Upstream, discovery::EndpointFile};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let backend = Upstream::builder("backend")
///     .file(EndpointFile::new("/etc/wsgate/backend.endpoints"))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct EndpointFile {
    path: Arc<Path>,
    interval: Duration,
    tls: Option<UpstreamTls>,
}

/// A file of endpoints that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointFileError {
    /// It cannot be read.
    #[error("cannot read the endpoints in {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One of its lines cannot be understood.
    #[error("{}, line {line}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong there.
        #[source]
        source: Box<EndpointLineError>,
    },
    /// There is none in it.
    #[error("{} names no endpoint", .0.display())]
    Empty(PathBuf),
}

#[derive(Debug)]
struct Watch {
    file: EndpointFile,
    /// What was found when the group was built. Taken when the watch begins.
    start: Mutex<Option<Watched>>,
}

#[derive(Debug)]
struct Watched {
    found: Found,
    /// The text as it was understood, or not, the last time; `None` when it could not be read.
    seen: Option<String>,
}

// ===== impl EndpointFile =====

impl EndpointFile {
    /// How often the file is read by default: once a second.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

    /// The endpoints in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
            interval: Self::DEFAULT_INTERVAL,
            tls: None,
        }
    }

    /// How often it is read. Default: [once a second](Self::DEFAULT_INTERVAL).
    #[must_use]
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How the certificates of its `https://` and `wss://` endpoints are checked. Default: with the
    /// operating system's roots.
    #[must_use]
    pub fn tls(mut self, tls: UpstreamTls) -> Self {
        self.tls = Some(tls);
        self
    }

    fn read(&self) -> Result<String, EndpointFileError> {
        let read = || {
            let mut text = String::new();
            let file = File::open(&self.path)?;
            file.take(LARGEST + 1).read_to_string(&mut text)?;
            match text.len() as u64 > LARGEST {
                true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
                false => Ok(text),
            }
        };
        read().map_err(|source| EndpointFileError::Read {
            path: self.path.to_path_buf(),
            source,
        })
    }

    /// Reads it where blocking is allowed.
    async fn read_aside(&self) -> Result<String, EndpointFileError> {
        let file = self.clone();
        let read = spawn_blocking(move || file.read()).await;
        read.unwrap_or_else(|error| {
            Err(EndpointFileError::Read {
                path: self.path.to_path_buf(),
                source: io::Error::other(error),
            })
        })
    }

    fn understand(&self, text: &str) -> Result<Vec<EndpointSettings>, EndpointFileError> {
        let set = parse(text).map_err(|(line, source)| EndpointFileError::Line {
            path: self.path.to_path_buf(),
            line,
            source: source.into(),
        })?;
        match set.is_empty() {
            true => Err(EndpointFileError::Empty(self.path.to_path_buf())),
            false => Ok(set),
        }
    }
}

/// Some 200,000 endpoints.
const LARGEST: u64 = 16 * 1024 * 1024;

/// How long a file has to stay the same.
const SETTLED: Duration = Duration::from_millis(100);

// ===== impl UpstreamBuilder =====

impl UpstreamBuilder {
    /// Takes endpoints from a file, and follows its changes.
    pub fn file(self, file: EndpointFile) -> Self {
        self.chore(Watch {
            file,
            start: Mutex::new(None),
        })
    }
}

// ===== impl Watch =====

impl Watch {
    fn start(&self) -> MutexGuard<'_, Option<Watched>> {
        self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chore for Watch {
    fn run(&self, group: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let start = self.start().take();
        let file = self.file.clone();
        Box::pin(async move {
            let Some(mut watched) = start else {
                return;
            };
            loop {
                sleep(file.interval).await;
                watched.look(&file, &group).await;
            }
        })
    }

    fn finds_endpoints(&self) -> bool {
        true
    }

    fn prepare(&self, upstream: &Upstream) -> Result<(), UpstreamError> {
        let text = self.file.read()?;
        let set = self.file.understand(&text)?;
        let source = self.file.path.display().to_string();
        let mut found = Found::new(source.clone(), self.file.tls.clone());
        let roots = found.apply_blocking(upstream, set);
        roots.map_err(|error| EndpointError::Tls(source, error))?;
        *self.start() = Some(Watched {
            found,
            seen: Some(text),
        });
        Ok(())
    }
}

// ===== impl Watched =====

impl Watched {
    async fn look(&mut self, file: &EndpointFile, group: &WeakUpstream) {
        let first = file.read_aside().await;
        if first
            .as_ref()
            .is_ok_and(|text| self.seen.as_ref() == Some(text))
        {
            return;
        }
        sleep(SETTLED.min(file.interval)).await;
        let second = file.read_aside().await;
        let Some(upstream) = group.upgrade() else {
            return;
        };
        match (first, second) {
            (Ok(first), Ok(text)) if first == text => {
                match file.understand(&text) {
                    Ok(set) => self.found.apply(&upstream, set).await,
                    Err(error) => self.found.keep(&upstream, chain(&error)),
                }
                self.seen = Some(text);
            }
            (Err(_), Err(error)) => {
                self.found.keep(&upstream, chain(&error));
                self.seen = None;
            }
            // It is being written: looked at again the next time.
            _ => {}
        }
    }
}
