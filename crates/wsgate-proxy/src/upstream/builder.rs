use std::{sync::Arc, time::Duration};

use http::StatusCode;

use super::{
    Balance, EndpointSettings, LeastTunnels, Rebalance, Upstream,
    chores::Chore,
    discovery::EndpointFileError,
    group::{Group, Settings},
    health::{Checker, Ejection, HealthCheck},
    recall::CloseRemoved,
};
use crate::EndpointError;

/// Makes an [`Upstream`].
#[derive(Debug)]
#[must_use = "it does nothing before `build`"]
pub struct UpstreamBuilder {
    name: String,
    endpoints: Vec<EndpointSettings>,
    balance: Arc<dyn Balance>,
    settings: Settings,
    chores: Vec<Box<dyn Chore>>,
    close_removed: Option<Duration>,
    rebalance: Option<Rebalance>,
}

/// A group that cannot be made, or not be changed so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// Nobody to send tunnels to, and nothing that would find somebody.
    #[error("upstream `{0}` has no endpoint, and no discovery that could find one")]
    Empty(String),
    /// Two endpoints have the same name.
    #[error("upstream `{upstream}` has {endpoint} twice: give one of the two a weight instead")]
    Twice {
        /// The group.
        upstream: String,
        /// What stands there twice.
        endpoint: String,
    },
    /// There is no endpoint of this name.
    #[error("upstream `{upstream}` has no endpoint {endpoint}")]
    Unknown {
        /// The group.
        upstream: String,
        /// What was asked for.
        endpoint: String,
    },
    /// Tunnels are to be rebalanced, and the policy would send their clients back to where they were.
    #[error(
        "upstream `{0}` cannot be rebalanced: its policy sends a client back to where it was, so that \
         closing its tunnel changes nothing"
    )]
    Sticky(String),
    /// An endpoint cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A [file of endpoints](super::discovery::EndpointFile) cannot be used.
    #[error(transparent)]
    File(#[from] EndpointFileError),
    /// There are no name servers to ask.
    #[cfg(feature = "dns")]
    #[error(transparent)]
    Resolver(#[from] super::discovery::ResolverError),
}

// ===== impl UpstreamBuilder =====

impl UpstreamBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            endpoints: Vec::new(),
            balance: Arc::new(LeastTunnels::new()),
            settings: Settings::default(),
            chores: Vec::new(),
            close_removed: None,
            rebalance: None,
        }
    }

    /// Adds an endpoint.
    pub fn endpoint(mut self, endpoint: impl Into<EndpointSettings>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// Who gets the next tunnel. Default: [`LeastTunnels`].
    pub fn balance(mut self, balance: impl Balance) -> Self {
        self.balance = Arc::new(balance);
        self
    }

    /// To how many endpoints a handshake is sent at most, each of them once. Default:
    /// [3](Upstream::DEFAULT_TRIES). At least 1.
    ///
    /// The next one is tried when an endpoint refuses, cannot be reached, takes too long, breaks the
    /// handshake off, answers it wrongly, or with one of [these](Self::retry_statuses). Nothing is
    /// tried again once the upstream has accepted.
    pub fn tries(mut self, tries: usize) -> Self {
        self.settings.tries = tries.max(1);
        self
    }

    /// How long all tries together may take. Past it the client gets 504. Default:
    /// [15 s](Upstream::DEFAULT_DEADLINE).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = deadline;
        self
    }

    /// With which answers an endpoint is passed over for the next. The last endpoint's answer passes
    /// to the client. Default: 502, 503 and 504.
    pub fn retry_statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.settings.retry_statuses = statuses.into_iter().collect();
        self
    }

    /// When endpoints are passed over for a while because handshakes to them have failed. Default:
    /// [`Ejection::default`]; `None` for never.
    pub fn eject(mut self, ejection: impl Into<Option<Ejection>>) -> Self {
        self.settings.health.ejection = ejection.into();
        self
    }

    /// Asks each endpoint now and then whether it is well, and gives it no tunnel while it is not.
    /// Default: no, only [handshakes](Self::eject) tell.
    pub fn health_check(mut self, check: HealthCheck) -> Self {
        self.settings.health.check = Some(check);
        self
    }

    /// Lets the weight of an endpoint that comes back, or is added while the group serves, grow from a
    /// tenth to the whole over this time. Default: zero, the whole at once.
    ///
    /// For applications that warm up, and for groups so busy that an empty endpoint would be given more
    /// handshakes at once than it can take. 30 s are usual.
    pub fn slow_start(mut self, over: Duration) -> Self {
        self.settings.health.slow_start = over;
        self
    }

    /// Ends the tunnels of an endpoint that is removed, by hand or because discovery does not find it
    /// any more: with a Close 1012, spread evenly over this time. Default: they stay as long as they
    /// live.
    ///
    /// 10 s for each thousand tunnels is a rate at which few services mind the clients that come back.
    /// The tunnels live on where all handles of the group are dropped meanwhile.
    pub const fn close_removed(mut self, within: Duration) -> Self {
        self.close_removed = Some(within);
        self
    }

    /// Moves tunnels from endpoints that have too many to those that have few, by closing some.
    /// Default: off. See [`Rebalance`] for what users notice.
    pub const fn rebalance(mut self, rebalance: Rebalance) -> Self {
        self.rebalance = Some(rebalance);
        self
    }

    /// Adds something that the group does by itself.
    pub(super) fn chore(mut self, chore: impl Chore) -> Self {
        self.chores.push(Box::new(chore));
        self
    }

    /// Makes the group.
    ///
    /// On a tokio runtime, what the group does by itself begins here, else with the first handshake;
    /// it ends with the last handle, of which each proxy has one. Tunnels live on without.
    ///
    /// # Errors
    ///
    /// [`UpstreamError`] if there is no endpoint, one twice, no roots for one with TLS, something wrong
    /// with what [finds](super::discovery) endpoints, or the group is to be rebalanced under a policy
    /// that is [sticky](Balance::is_sticky).
    pub fn build(mut self) -> Result<Upstream, UpstreamError> {
        let finds_endpoints = self.chores.iter().any(|chore| chore.finds_endpoints());
        if self.endpoints.is_empty() && !finds_endpoints {
            return Err(UpstreamError::Empty(self.name));
        }
        if let Some(check) = &self.settings.health.check {
            self.chores.push(Box::new(Checker::new(check.clone())));
        }
        if let Some(rebalance) = self.rebalance {
            if self.balance.is_sticky() {
                return Err(UpstreamError::Sticky(self.name));
            }
            self.chores.push(Box::new(rebalance));
        }
        if let Some(within) = self.close_removed {
            let chore = CloseRemoved::new(within);
            self.settings.leaving = Some(chore.leaving());
            self.chores.push(Box::new(chore));
        }
        let group = Group::new(self.name, self.balance, self.settings, self.chores);
        let upstream = Upstream::from(group);
        upstream.add_all(self.endpoints)?;
        upstream.prepare()?;
        upstream.start();
        Ok(upstream)
    }
}
