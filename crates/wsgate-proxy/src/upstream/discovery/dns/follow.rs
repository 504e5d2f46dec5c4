use std::{fmt, future::Future, pin::Pin, sync::OnceLock, time::Duration};

use tokio::time::sleep;

use super::{Dns, Resolver, ask::resolver};
use crate::{
    EndpointError, UpstreamTls,
    upstream::{
        Upstream, UpstreamError,
        chores::{Chore, WeakUpstream},
        discovery::{chain, found::Found},
    },
};

/// Looks a name up for as long as the group is there.
pub(super) struct Lookups {
    dns: Dns,
    /// What is read beforehand, where blocking is allowed.
    tls: OnceLock<UpstreamTls>,
}

pub(super) struct Follower {
    dns: Dns,
    resolver: Resolver,
    found: Found,
    /// Failures in a row.
    failures: u32,
}

// ===== impl Lookups =====

impl Lookups {
    pub(super) const fn new(dns: Dns) -> Self {
        Self {
            dns,
            tls: OnceLock::new(),
        }
    }
}

impl Chore for Lookups {
    fn run(&self, group: WeakUpstream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut follower = Follower::new(self.dns.clone(), self.tls.get().cloned());
        Box::pin(async move {
            while let Some(wait) = follower.round(&group).await {
                sleep(wait).await;
            }
        })
    }

    fn finds_endpoints(&self) -> bool {
        true
    }

    fn prepare(&self, _: &Upstream) -> Result<(), UpstreamError> {
        // Only to see that there are name servers: which, they may be others by then.
        resolver(&self.dns.name_servers)?;
        if self.dns.is_tls() {
            let tls = self
                .dns
                .tls
                .clone()
                .map_or_else(UpstreamTls::system_roots, Ok);
            let tls = tls.map_err(|e| EndpointError::Tls(self.dns.to_string(), e))?;
            self.tls.get_or_init(|| tls);
        }
        Ok(())
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lookups").field(&self.dns).finish()
    }
}

// ===== impl Follower =====

impl Follower {
    pub(super) fn new(dns: Dns, tls: Option<UpstreamTls>) -> Self {
        Self {
            resolver: Resolver::new(),
            found: Found::new(dns.to_string(), tls),
            failures: 0,
            dns,
        }
    }

    /// Looks the name up, and tells when to do so again; `None` when the group is gone.
    pub(super) async fn round(&mut self, group: &WeakUpstream) -> Option<Duration> {
        // The group is not held meanwhile.
        let answer = self.resolver.ask(&self.dns).await;
        let upstream = group.upgrade()?;
        let wait = match answer {
            Ok(answer) => {
                self.found.apply(&upstream, answer.endpoints).await;
                self.failures = 0;
                answer.ttl.min(self.dns.max_ttl)
            }
            Err(error) => {
                self.found.keep(&upstream, chain(&error));
                let wait = self.dns.min_ttl.saturating_mul(1 << self.failures.min(16));
                self.failures += 1;
                wait.min(LONGEST_PAUSE).min(self.dns.max_ttl)
            }
        };
        // Later rather than sooner: while the records hold, a cache would give the same again.
        let spread = rand::random_range(1.0..1.1);
        Some(wait.max(self.dns.min_ttl).mul_f64(spread))
    }
}

/// Between failures: a name server that is back is found soon, and one in trouble not kept there.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
