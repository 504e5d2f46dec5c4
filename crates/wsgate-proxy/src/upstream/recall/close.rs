use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rand::seq::SliceRandom;
use tokio::{
    task::consume_budget,
    time::{Instant, sleep_until},
};

use super::Recall;
use crate::{
    Endpoint,
    upstream::{Member, Upstream, UpstreamError},
};

/// An endpoint that was taken out of its group, whose tunnels may live on.
#[derive(Clone, Debug)]
pub struct Removed {
    member: Arc<Member>,
}

/// The tunnels of an endpoint being closed; from [`Upstream::close_tunnels`] or
/// [`Removed::close_tunnels`]. Ready when they have ended, with the number of those that it closed.
///
/// # Cancel safety
///
/// Dropped, it closes no more tunnels. Those that it has closed end all the same.
#[must_use = "no tunnel is closed before it is polled"]
pub struct CloseTunnels {
    // Boxed, as there are few in the life of a group.
    inner: Pin<Box<dyn Future<Output = usize> + Send>>,
}

// ===== impl Upstream =====

impl Upstream {
    /// Ends the tunnels that an endpoint has, with a Close 1012 ("service restart") at the next frame
    /// boundary, spread evenly over this time: all their clients come back, and had better not at
    /// once. Ready when they have ended, which takes up to 5 s more where clients do not answer. Gives
    /// the number of those that it closed, without those that ended by themselves.
    ///
    /// [Drain](Self::drain) the endpoint before, or its clients may come back to it.
    ///
    /// # Errors
    ///
    /// If there is no such endpoint.
    ///
    /// # Cancel safety
    ///
    /// See [`CloseTunnels`].
    ///
    /// # Example
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use wsgate_proxy::upstream::{EndpointSettings, Upstream, UpstreamError};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let backend = Upstream::builder("backend")
    ///     .endpoint(EndpointSettings::new("http://10.0.0.1:9000")?)
    ///     .endpoint(EndpointSettings::new("http://10.0.0.2:9000")?)
    ///     .build()?;
    ///
    /// // Before the first is restarted:
    /// let first = "http://10.0.0.1:9000".parse()?;
    /// backend.drain(&first)?;
    /// let closed = backend.close_tunnels(&first, Duration::from_secs(30))?.await;
    /// println!("{closed} clients went to the second");
    /// # Ok(())
    /// # }
    /// ```
    pub fn close_tunnels(
        &self,
        endpoint: &Endpoint,
        within: Duration,
    ) -> Result<CloseTunnels, UpstreamError> {
        let member = self.find(endpoint)?;
        let why = match member.is_drained() {
            true => Recall::Drained,
            false => Recall::Asked,
        };
        Ok(CloseTunnels::new(member, why, within))
    }
}

// ===== impl Removed =====

impl Removed {
    pub(in crate::upstream) const fn new(member: Arc<Member>) -> Self {
        Self { member }
    }

    /// Which it was.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.member.endpoint
    }

    /// Its live tunnels, handshakes under way included.
    #[must_use]
    pub fn tunnels(&self) -> u32 {
        self.member.tunnels()
    }

    /// Ends its tunnels, as [`Upstream::close_tunnels`] does. Handshakes that are under way are closed
    /// as soon as they have succeeded.
    pub fn close_tunnels(&self, within: Duration) -> CloseTunnels {
        CloseTunnels::new(Arc::clone(&self.member), Recall::Removed, within)
    }
}

// ===== impl CloseTunnels =====

impl CloseTunnels {
    pub(super) fn new(member: Arc<Member>, why: Recall, within: Duration) -> Self {
        Self {
            inner: Box::pin(close(member, why, within)),
        }
    }
}

impl Future for CloseTunnels {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for CloseTunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseTunnels").finish_non_exhaustive()
    }
}

async fn close(member: Arc<Member>, why: Recall, within: Duration) -> usize {
    let Some(roll) = member.roll() else {
        return 0;
    };
    if why == Recall::Removed {
        roll.doom(why);
    }
    let mut tickets = roll.all();
    if tickets.is_empty() {
        return 0;
    }
    let endpoint = &member.endpoint;
    tracing::info!(%endpoint, cause = %why, tunnels = tickets.len(), ?within, "closing tunnels");
    // The order in which they came is that of a rush of users at times, who should not feel it together.
    tickets.shuffle(&mut rand::rng());
    let mut closed = 0;
    spread(&tickets, within, |ticket| {
        closed += usize::from(ticket.recall(why));
    })
    .await;
    roll.ended(tickets).await;
    tracing::info!(%endpoint, cause = %why, closed, "tunnels closed");
    closed
}

/// Does something for each, at even distances: the first at once, the last so much before the end as
/// lies between two.
pub(super) async fn spread<T>(items: &[T], within: Duration, mut each: impl FnMut(&T)) {
    let start = Instant::now();
    // More than anyone means, and no more than the clock can add.
    let within = within.min(Duration::from_secs(365 * 24 * 60 * 60));
    for (at, item) in items.iter().enumerate() {
        let due = start + within.mul_f64(at as f64 / items.len() as f64);
        if due > Instant::now() {
            sleep_until(due).await;
        } else {
            // Many may be due at once, and others are to have their turns.
            consume_budget().await;
        }
        each(item);
    }
}
