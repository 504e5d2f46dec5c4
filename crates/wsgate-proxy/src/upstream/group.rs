use std::{
    collections::HashSet,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use http::StatusCode;

use super::{
    Balance, EndpointSettings, EndpointStatus, Handshake, Lease, LeastTunnels, Member, Removed,
    Tries, UpstreamBuilder, UpstreamError,
    chores::{Chore, Chores},
    discovery::Sources,
    health::{GroupHealth, HealthSettings, Moment},
    members::Members,
    recall::Leaving,
    tier::Tier,
};
use crate::{Endpoint, EndpointError};

/// A named group of endpoints. Cheap to clone; all clones are the same group.
///
/// What is changed while it serves touches no live tunnel on the others. See the [module](super).
#[derive(Clone)]
pub struct Upstream {
    pub(super) group: Arc<Group>,
}

pub(super) struct Group {
    name: Arc<str>,
    /// Replaced whole, so that a handshake sees one state of the group.
    pub(super) members: ArcSwap<Members>,
    /// Held while they are replaced.
    editing: Mutex<()>,
    pub(super) balance: Arc<dyn Balance>,
    pub(super) settings: Settings,
    pub(super) health: GroupHealth,
    pub(super) sources: Sources,
    chores: Chores,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) tries: usize,
    pub(super) deadline: Duration,
    pub(super) retry_statuses: Vec<StatusCode>,
    pub(super) health: HealthSettings,
    /// Where members go whose tunnels are to end once they are removed.
    pub(super) leaving: Option<Arc<Leaving>>,
    /// Whether nobody chooses, so that nothing has to be kept for the policy.
    pub(super) is_single: bool,
}

// ===== impl Upstream =====

impl Upstream {
    /// How many endpoints a handshake is sent to by default: 3. With more, a broken client of the
    /// upstream could make every endpoint busy.
    pub const DEFAULT_TRIES: usize = 3;

    /// How long all tries of a handshake take by default: 15 s, one whole connection and handshake.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(15);

    /// Begins a group. The name stands in logs and metrics.
    pub fn builder(name: impl Into<String>) -> UpstreamBuilder {
        UpstreamBuilder::new(name.into())
    }

    /// A group of one, which gets every handshake and is tried once.
    pub(crate) fn single(endpoint: EndpointSettings) -> Result<Self, EndpointError> {
        let endpoint = endpoint.with_roots()?;
        let name = endpoint.endpoint.to_string();
        let settings = Settings {
            tries: 1,
            // Connection and handshake have their own.
            deadline: Duration::from_secs(86_400 * 365),
            retry_statuses: Vec::new(),
            health: HealthSettings::OFF,
            leaving: None,
            is_single: true,
        };
        let balance = Arc::new(LeastTunnels::new());
        let group = Group::new(name, balance, settings, Vec::new());
        let members = Members {
            primary: vec![Arc::new(Member::new(endpoint))].into(),
            backup: Tier::default(),
        };
        group.members.store(Arc::new(members));
        Ok(Self::from(group))
    }

    /// Its name: that of the endpoint where the group was never named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.group.name
    }

    /// The same, for whoever keeps it.
    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.group.name)
    }

    /// The endpoints, primaries first.
    #[must_use]
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        let members = self.group.members.load();
        let now = Moment::now();
        let all = members.all();
        all.map(|m| EndpointStatus::of(m, now)).collect()
    }

    /// Adds an endpoint. Takes effect with the next handshake.
    ///
    /// # Errors
    ///
    /// If it is there already, or no roots can be had for one with TLS.
    pub fn add(&self, endpoint: impl Into<EndpointSettings>) -> Result<(), UpstreamError> {
        let endpoint = endpoint.into().with_roots()?;
        self.group.edit(|members| {
            if members.find(&endpoint.endpoint).is_some() {
                return Err(UpstreamError::Twice {
                    upstream: self.name().to_owned(),
                    endpoint: endpoint.endpoint.to_string(),
                });
            }
            let member = Member::new(endpoint).with_roll();
            self.group.welcome(&member);
            members.insert(member);
            Ok(())
        })
    }

    /// Adds those that a new group has, at once: one by one, each would be compared with all before.
    pub(super) fn add_all(&self, endpoints: Vec<EndpointSettings>) -> Result<(), UpstreamError> {
        let mut seen = HashSet::new();
        let twice = endpoints.iter().find(|e| !seen.insert(&e.endpoint));
        if let Some(twice) = twice {
            return Err(UpstreamError::Twice {
                upstream: self.name().to_owned(),
                endpoint: twice.endpoint.to_string(),
            });
        }
        self.group.edit(|members| {
            for endpoint in endpoints {
                members.insert(Member::new(endpoint.with_roots()?).with_roll());
            }
            Ok(())
        })
    }

    /// Takes an endpoint out of the group. Its tunnels stay as long as they live, unless the group
    /// [closes them](UpstreamBuilder::close_removed), or [`Removed::close_tunnels`] does.
    ///
    /// # Errors
    ///
    /// If there is no such endpoint.
    pub fn remove(&self, endpoint: &Endpoint) -> Result<Removed, UpstreamError> {
        let mut removed = None;
        self.group.edit(|members| {
            let is_it = |m: &Arc<Member>| m.endpoint == *endpoint;
            removed = members.find(endpoint).cloned();
            members.primary.retain(|m| !is_it(m));
            members.backup.retain(|m| !is_it(m));
            Ok::<(), UpstreamError>(())
        })?;
        let member = removed.ok_or_else(|| self.unknown(endpoint))?;
        if let Some(leaving) = &self.group.settings.leaving {
            leaving.push(&member);
        }
        Ok(Removed::new(member))
    }

    /// Gives an endpoint no more tunnels. Those that it has stay, unless
    /// [`close_tunnels`](Self::close_tunnels) ends them; [`undrain`](Self::undrain) takes it back.
    ///
    /// # Errors
    ///
    /// If there is no such endpoint.
    pub fn drain(&self, endpoint: &Endpoint) -> Result<(), UpstreamError> {
        self.find(endpoint)?.set_drained(true);
        Ok(())
    }

    /// Gives it tunnels again.
    ///
    /// # Errors
    ///
    /// If there is no such endpoint.
    pub fn undrain(&self, endpoint: &Endpoint) -> Result<(), UpstreamError> {
        self.find(endpoint)?.set_drained(false);
        Ok(())
    }

    /// Changes its [weight](EndpointSettings::weight).
    ///
    /// # Errors
    ///
    /// If there is no such endpoint.
    pub fn set_weight(&self, endpoint: &Endpoint, weight: u32) -> Result<(), UpstreamError> {
        self.find(endpoint)?.set_weight(weight);
        let weighed = self.group.edit(|_| Ok::<_, Infallible>(()));
        weighed.unwrap_or_else(|never| match never {});
        Ok(())
    }

    /// Changes the [most tunnels](EndpointSettings::max_tunnels) it is given.
    ///
    /// # Errors
    ///
    /// If there is no such endpoint.
    pub fn set_max_tunnels(&self, endpoint: &Endpoint, max: u32) -> Result<(), UpstreamError> {
        self.find(endpoint)?.set_max_tunnels(max);
        Ok(())
    }

    /// Takes a place on the endpoint that a handshake like this one would be sent to first. `None` when
    /// there is none to be had.
    ///
    /// For the tests of a [`Balance`], and for tunnels that somebody else relays.
    pub fn lease(&self, handshake: &Handshake<'_>) -> Option<Lease> {
        self.tries().next(handshake)
    }

    pub(crate) fn tries(&self) -> Tries<'_> {
        Tries::new(self)
    }

    /// Whether another endpoint is to be asked in place of passing this answer on.
    pub(crate) fn retries(&self, status: StatusCode) -> bool {
        self.group.settings.retry_statuses.contains(&status)
    }

    /// Begins what the group does by itself, if that has not happened and there is a runtime.
    pub(crate) fn start(&self) {
        self.group.chores.start(&self.group);
    }

    /// Lets what the group does by itself look at it, before it starts.
    pub(super) fn prepare(&self) -> Result<(), UpstreamError> {
        self.group.chores.prepare(self)
    }

    pub(super) fn find(&self, endpoint: &Endpoint) -> Result<Arc<Member>, UpstreamError> {
        let members = self.group.members.load();
        let member = members.find(endpoint);
        member.cloned().ok_or_else(|| self.unknown(endpoint))
    }

    fn unknown(&self, endpoint: &Endpoint) -> UpstreamError {
        UpstreamError::Unknown {
            upstream: self.name().to_owned(),
            endpoint: endpoint.to_string(),
        }
    }
}

impl From<Group> for Upstream {
    fn from(group: Group) -> Self {
        Arc::new(group).into()
    }
}

impl From<Arc<Group>> for Upstream {
    fn from(group: Arc<Group>) -> Self {
        Self { group }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.group.name)
            .field("members", &self.group.members.load())
            .finish_non_exhaustive()
    }
}

// ===== impl Group =====

impl Group {
    pub(super) fn new(
        name: String,
        balance: Arc<dyn Balance>,
        settings: Settings,
        chores: Vec<Box<dyn Chore>>,
    ) -> Self {
        Self {
            name: name.into(),
            members: ArcSwap::default(),
            editing: Mutex::new(()),
            balance,
            settings,
            health: GroupHealth::default(),
            sources: Sources::new(chores.iter().filter(|c| c.finds_endpoints()).count()),
            chores: Chores::new(chores),
        }
    }

    /// Replaces the endpoints by changed ones, unless the change fails.
    pub(super) fn edit<E>(
        &self,
        change: impl FnOnce(&mut Members) -> Result<(), E>,
    ) -> Result<(), E> {
        let _alone = self.editing();
        let mut members = Members::clone(&self.members.load());
        change(&mut members)?;
        members.primary.weigh();
        members.backup.weigh();
        self.members.store(Arc::new(members));
        Ok(())
    }

    /// Before a new endpoint is added: it may have to start slowly.
    pub(super) fn welcome(&self, member: &Member) {
        self.health.welcome(&member.health, &self.settings.health);
    }

    fn editing(&self) -> MutexGuard<'_, ()> {
        // A change that panics leaves all as it was.
        self.editing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

// ===== impl Settings =====

impl Default for Settings {
    fn default() -> Self {
        Self {
            tries: Upstream::DEFAULT_TRIES,
            deadline: Upstream::DEFAULT_DEADLINE,
            retry_statuses: vec![
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ],
            health: HealthSettings::default(),
            leaving: None,
            is_single: false,
        }
    }
}
