//! One endpoint of a group, and what is counted about it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use aws_lc_rs::digest::{SHA256, digest};

use super::{EndpointSettings, health::Health, http2::Pool, recall::Roll};
use crate::{Endpoint, UpstreamTls};

/// Shared by the group, by whatever is just being tried on it, and by its tunnels: a member that was
/// removed lives until its last tunnel has ended.
pub(crate) struct Member {
    pub(crate) endpoint: Endpoint,
    /// `Some` for every endpoint with TLS.
    pub(crate) tls: Option<UpstreamTls>,
    /// `Some` where its tunnels may go over HTTP/2.
    pub(crate) http2: Option<Arc<Pool>>,
    is_backup: AtomicBool,
    /// Of the endpoint's name: the same in every process, and after it was away.
    pub(super) hash: u64,
    weight: AtomicU32,
    max_tunnels: AtomicU32,
    /// Handshakes under way included.
    tunnels: AtomicU32,
    drained: AtomicBool,
    pub(super) health: Health,
    /// Its tunnels, where somebody could want to end them.
    roll: Option<Roll>,
}

// ===== impl Member =====

impl Member {
    pub(super) fn new(settings: EndpointSettings) -> Self {
        let EndpointSettings {
            endpoint,
            tls,
            weight,
            max_tunnels,
            is_backup,
            http2,
        } = settings;
        Self {
            http2: Pool::new(http2, &endpoint, tls.as_ref()),
            hash: hash(endpoint.to_string().as_bytes()),
            endpoint,
            tls,
            is_backup: is_backup.into(),
            weight: weight.into(),
            max_tunnels: max_tunnels.into(),
            tunnels: 0.into(),
            drained: false.into(),
            health: Health::new(),
            roll: None,
        }
    }

    /// Keeps a list of its tunnels, so that they can be recalled.
    pub(super) fn with_roll(mut self) -> Self {
        self.roll = Some(Roll::default());
        self
    }

    pub(super) const fn roll(&self) -> Option<&Roll> {
        self.roll.as_ref()
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.weight.store(weight.max(1), Ordering::Relaxed);
    }

    pub(super) fn max_tunnels(&self) -> u32 {
        self.max_tunnels.load(Ordering::Relaxed)
    }

    pub(super) fn set_max_tunnels(&self, max: u32) {
        self.max_tunnels.store(max, Ordering::Relaxed);
    }

    pub(super) fn is_backup(&self) -> bool {
        self.is_backup.load(Ordering::Relaxed)
    }

    /// Takes effect where the members are replaced.
    pub(super) fn set_backup(&self, backup: bool) {
        self.is_backup.store(backup, Ordering::Relaxed);
    }

    /// How many leases there are.
    pub(super) fn tunnels(&self) -> u32 {
        self.tunnels.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.tunnels() >= self.max_tunnels()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Relaxed)
    }

    pub(super) fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Ordering::Relaxed);
    }

    /// Counts one more tunnel, unless that were too many.
    pub(super) fn take(&self) -> bool {
        let max = self.max_tunnels();
        let one_more = |tunnels| (tunnels < max).then_some(tunnels + 1);
        let order = Ordering::Relaxed;
        self.tunnels.fetch_update(order, order, one_more).is_ok()
    }

    pub(super) fn give_back(&self) {
        self.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("endpoint", &self.endpoint)
            .field("tunnels", &self.tunnels())
            .finish_non_exhaustive()
    }
}

/// The beginning of a SHA-256: the same in every process, build and version, as the gateways of a group
/// have to agree.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let digest = digest(&SHA256, bytes);
    let first = digest.as_ref().first_chunk();
    u64::from_be_bytes(*first.expect("a SHA-256 has 32 bytes"))
}
