//! Endpoints from a [`Discover`].

use std::{
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    hash::Hash,
    pin::{Pin, pin},
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{task::yield_now, time::sleep};
use tower::discover::{Change, Discover};

use super::{Chore, EndpointSettings, Found, UpstreamBuilder, WeakUpstream};

struct Follow<D> {
    /// Taken when it begins.
    discover: Mutex<Option<D>>,
}

/// The changes that were there at one moment.
struct Batch<E> {
    has_changes: bool,
    end: Option<End<E>>,
}

enum End<E> {
    Failed(E),
    Over,
}

// ===== impl UpstreamBuilder =====

impl UpstreamBuilder {
    /// Follows whatever tells of endpoints that come and go: any stream of
    /// [`Change`]s is one. Keys are the stream's own; what it [inserts](Change::Insert) under a key
    /// that is taken replaces what was there.
    ///
    /// Changes that are there together take effect together. A [removal](Change::Remove) is taken at
    /// its word, that of the last endpoint too. After an error the endpoints stay, and the stream is
    /// asked again after a second; once it has ended they stay for good.
    ///
    /// # Example
    ///
    /// ```
    /// use futures_util::stream;
    /// use tower::discover::Change;
    /// use wsgate_proxy::upstream::{EndpointSettings, Upstream};
    ///
    /// // The name of a pod, and where it listens: from a watch on a registry, as a rule.
    /// let changes = stream::iter([
    ///     Change::Insert("pod-a", EndpointSettings::new("http://10.0.0.1:9000")?),
    ///     Change::Insert("pod-b", EndpointSettings::new("http://10.0.0.2:9000")?.weight(2)),
    ///     Change::Remove("pod-a"),
    /// ]);
    /// let changes = futures_util::StreamExt::map(changes, Ok::<_, std::io::Error>);
    ///
    /// let backend = Upstream::builder("backend").discover(changes).build()?;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// # runtime.block_on(backend.discovered());
    /// # assert_eq!(backend.endpoints()[0].endpoint.to_string(), "http://10.0.0.2:9000");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn discover<D>(self, discover: D) -> Self
    where
        D: Discover + Send + 'static,
        D::Key: Hash + Send,
        D::Service: Into<EndpointSettings>,
        D::Error: fmt::Display + Send,
    {
        self.chore(Follow {
            discover: Mutex::new(Some(discover)),
        })
    }
}

// ===== impl Follow =====

impl<D> Chore for Follow<D>
where
    D: Discover + Send + 'static,
    D::Key: Hash + Send,
    D::Service: Into<EndpointSettings>,
    D::Error: fmt::Display + Send,
{
    fn run(&self, group: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let discover = self.discover.lock();
        let discover = discover.unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            if let Some(discover) = discover {
                follow(discover, group).await;
            }
        })
    }

    fn finds_endpoints(&self) -> bool {
        true
    }
}

impl<D> fmt::Debug for Follow<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}

async fn follow<D>(discover: D, group: WeakUpstream)
where
    D: Discover,
    D::Key: Hash,
    D::Service: Into<EndpointSettings>,
    D::Error: fmt::Display,
{
    let mut discover = pin!(discover);
    let mut endpoints = HashMap::new();
    let mut found = Found::new("stream".to_owned(), None);
    loop {
        let batch = poll_fn(|cx| poll_batch(discover.as_mut(), cx, &mut endpoints)).await;
        let Some(upstream) = group.upgrade() else {
            return;
        };
        if batch.has_changes {
            let set = endpoints.values().cloned().collect();
            found.apply(&upstream, set).await;
        }
        match batch.end {
            Some(End::Failed(error)) => found.keep(&upstream, error.to_string()),
            Some(End::Over) => return found.keep(&upstream, "the stream has ended".to_owned()),
            None => {
                drop(upstream);
                // A stream that always has more would keep the thread for itself.
                yield_now().await;
                continue;
            }
        }
        drop(upstream);
        sleep(PAUSE).await;
    }
}

/// Takes what is there, until nothing more is.
fn poll_batch<D>(
    mut discover: Pin<&mut D>,
    cx: &mut Context<'_>,
    endpoints: &mut HashMap<D::Key, EndpointSettings>,
) -> Poll<Batch<D::Error>>
where
    D: Discover,
    D::Key: Hash,
    D::Service: Into<EndpointSettings>,
{
    let mut batch = Batch {
        has_changes: false,
        end: None,
    };
    for _ in 0..MOST_AT_ONCE {
        match discover.as_mut().poll_discover(cx) {
            Poll::Ready(Some(Ok(change))) => {
                batch.has_changes = true;
                match change {
                    Change::Insert(key, service) => endpoints.insert(key, service.into()),
                    Change::Remove(key) => endpoints.remove(&key),
                };
            }
            Poll::Ready(Some(Err(error))) => batch.end = Some(End::Failed(error)),
            Poll::Ready(None) => batch.end = Some(End::Over),
            Poll::Pending if !batch.has_changes => return Poll::Pending,
            Poll::Pending => break,
        }
        if batch.end.is_some() {
            break;
        }
    }
    Poll::Ready(batch)
}

/// For a stream that does nothing but fail.
const PAUSE: Duration = Duration::from_secs(1);

/// Of a stream that always has more, so that what it says takes effect at some time.
const MOST_AT_ONCE: usize = 10_000;
