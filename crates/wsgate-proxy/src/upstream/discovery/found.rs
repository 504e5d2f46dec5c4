//! What one source has found, and the one place where that is applied to the group.

use std::{
    collections::HashMap,
    convert::Infallible,
    mem,
    sync::{Arc, Weak},
};

use tokio::task::spawn_blocking;

use super::{EndpointSettings, Member, Upstream, chain};
use crate::{Endpoint, UpstreamTls, UpstreamTlsError};

/// A source's part of a group.
#[derive(Debug)]
pub(super) struct Found {
    /// For the log.
    source: String,
    /// What the source has added, as far as it is still found.
    ours: HashMap<Endpoint, Ours>,
    /// What it found once and what still has tunnels: to be counted on with, if it comes back.
    gone: HashMap<Endpoint, Weak<Member>>,
    /// For endpoints with TLS that come without any. The system's are read once.
    roots: Option<UpstreamTls>,
    was_asked: bool,
    /// Why the last good set had to stay, while it has to.
    failing: Option<String>,
}

#[derive(Debug)]
struct Ours {
    member: Arc<Member>,
    told: Told,
}

/// What a source says of an endpoint. Compared with what it said before, so that a change by hand
/// stays until the source has something new to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    weight: u32,
    max_tunnels: u32,
    is_backup: bool,
}

// ===== impl Found =====

impl Found {
    pub(super) fn new(source: String, tls: Option<UpstreamTls>) -> Self {
        Self {
            source,
            ours: HashMap::new(),
            gone: HashMap::new(),
            roots: tls,
            was_asked: false,
            failing: None,
        }
    }

    /// Makes this set what the source has in the group.
    pub(super) async fn apply(&mut self, upstream: &Upstream, set: Vec<EndpointSettings>) {
        if self.needs_roots(&set) {
            // They are read from files.
            match spawn_blocking(UpstreamTls::system_roots).await {
                Ok(Ok(roots)) => self.roots = Some(roots),
                Ok(Err(error)) => return self.keep(upstream, chain(&error)),
                Err(error) => return self.keep(upstream, chain(&error)),
            }
        }
        self.replace(upstream, set);
    }

    /// As [`apply`](Self::apply), where blocking is allowed.
    ///
    /// # Errors
    ///
    /// If there are no roots for an endpoint with TLS.
    pub(super) fn apply_blocking(
        &mut self,
        upstream: &Upstream,
        set: Vec<EndpointSettings>,
    ) -> Result<(), UpstreamTlsError> {
        if self.needs_roots(&set) {
            self.roots = Some(UpstreamTls::system_roots()?);
        }
        self.replace(upstream, set);
        Ok(())
    }

    /// There is no new set: the last one stays. Says so once for each reason.
    pub(super) fn keep(&mut self, upstream: &Upstream, reason: String) {
        self.was_asked(upstream);
        if self.failing.as_deref() == Some(&*reason) {
            return;
        }
        tracing::warn!(
            upstream = upstream.name(),
            source = self.source,
            endpoints = self.ours.len(),
            reason,
            "endpoints cannot be found: the last ones stay"
        );
        self.failing = Some(reason);
    }

    fn needs_roots(&self, set: &[EndpointSettings]) -> bool {
        let without = |s: &EndpointSettings| s.endpoint.is_tls() && s.tls.is_none();
        self.roots.is_none() && set.iter().any(without)
    }

    fn replace(&mut self, upstream: &Upstream, set: Vec<EndpointSettings>) {
        let Self {
            ours, gone, roots, ..
        } = self;
        let mut next = HashMap::with_capacity(set.len());
        let mut added = Vec::new();
        let mut removed = Vec::new();
        let Ok(()) = upstream.group.edit(|members| {
            let before = mem::take(members);
            let present: HashMap<_, _> = before.all().map(|m| (&m.endpoint, m)).collect();
            for mut settings in set {
                if next.contains_key(&settings.endpoint) {
                    continue;
                }
                let told = Told::of(&settings);
                let was = ours.get(&settings.endpoint);
                let member = match (present.get(&settings.endpoint), was) {
                    (Some(&member), Some(was)) if Arc::ptr_eq(member, &was.member) => {
                        if was.told != told {
                            told.tell(member);
                        }
                        Arc::clone(member)
                    }
                    // Added by hand, or by another source.
                    (Some(_), _) => continue,
                    (None, _) => {
                        let back = gone.remove(&settings.endpoint).and_then(|m| m.upgrade());
                        let member = back.unwrap_or_else(|| {
                            if settings.endpoint.is_tls() && settings.tls.is_none() {
                                settings.tls.clone_from(roots);
                            }
                            Arc::new(Member::new(settings).with_roll())
                        });
                        upstream.group.welcome(&member);
                        told.tell(&member);
                        added.push(Arc::clone(&member));
                        member
                    }
                };
                next.insert(member.endpoint.clone(), Ours { member, told });
            }
            for member in before.all() {
                let was = ours.get(&member.endpoint);
                let is_ours = was.is_some_and(|was| Arc::ptr_eq(member, &was.member));
                match is_ours && !next.contains_key(&member.endpoint) {
                    true => removed.push(Arc::clone(member)),
                    false => members.insert(Arc::clone(member)),
                }
            }
            added.iter().cloned().for_each(|m| members.insert(m));
            Ok::<_, Infallible>(())
        });
        self.ours = next;
        self.left(upstream, &removed);
        self.tell(upstream, &added, &removed);
        self.was_asked(upstream);
    }

    /// These endpoints are no longer found. Their tunnels live on, unless the group closes them.
    fn left(&mut self, upstream: &Upstream, removed: &[Arc<Member>]) {
        if let Some(leaving) = &upstream.group.settings.leaving {
            return removed.iter().for_each(|member| leaving.push(member));
        }
        self.gone.retain(|_, member| member.strong_count() > 0);
        let with_tunnels = removed.iter().filter(|member| member.tunnels() > 0);
        let gone = with_tunnels.map(|m| (m.endpoint.clone(), Arc::downgrade(m)));
        self.gone.extend(gone);
    }

    fn tell(&mut self, upstream: &Upstream, added: &[Arc<Member>], removed: &[Arc<Member>]) {
        let (upstream, source) = (upstream.name(), &*self.source);
        let endpoints = self.ours.len();
        if self.failing.take().is_some() {
            tracing::info!(upstream, source, endpoints, "endpoints are found again");
        }
        if added.is_empty() && removed.is_empty() {
            return;
        }
        for member in added {
            tracing::debug!(upstream, source, endpoint = %member.endpoint, "found");
        }
        for member in removed {
            let tunnels = member.tunnels();
            tracing::debug!(upstream, source, endpoint = %member.endpoint, tunnels, "gone");
        }
        let (added, removed) = (added.len(), removed.len());
        tracing::info!(
            upstream,
            source,
            endpoints,
            added,
            removed,
            "endpoints have changed"
        );
    }

    fn was_asked(&mut self, upstream: &Upstream) {
        if !mem::replace(&mut self.was_asked, true) {
            upstream.group.sources.asked();
        }
    }
}

// ===== impl Told =====

impl Told {
    const fn of(settings: &EndpointSettings) -> Self {
        Self {
            weight: settings.weight,
            max_tunnels: settings.max_tunnels,
            is_backup: settings.is_backup,
        }
    }

    fn tell(self, member: &Member) {
        member.set_weight(self.weight);
        member.set_max_tunnels(self.max_tunnels);
        member.set_backup(self.is_backup);
    }
}
