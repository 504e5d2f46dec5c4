//! What handshakes have in common.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use axum::extract::MatchedPath;
use http::{
    Request,
    header::HOST,
    uri::{Authority, Scheme},
};

use super::Observers;
use crate::{
    client,
    handshake::{Kind, tokens},
};

/// What is known of a handshake and is the same with most others of a server. It is kept until the
/// last WebSocket has ended that has it.
pub(super) struct Common {
    pub(super) observers: Observers,
    pub(super) protocol: Kind,
    pub(super) route: Option<MatchedPath>,
    pub(super) scheme: Scheme,
    /// A copy, as a `HeaderValue` would keep the whole head of the request in memory.
    pub(super) host: Option<Box<str>>,
}

/// Those of the last handshakes that had something new. Clients can choose what is in there, so
/// there are few.
#[derive(Default)]
pub(super) struct Recent(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    all: Vec<Arc<Common>>,
    /// The oldest, once there are as many as there may be.
    oldest: usize,
}

/// Enough for a server with some names and routes.
const KEPT: usize = 8;

/// No name is longer than 253 bytes in the DNS; with the dot at its end, and a port.
const MAX_HOST: usize = 254 + ":65535".len();

// ===== impl Recent =====

impl Recent {
    /// What this handshake has in common with one of those before, or is the first to have.
    pub(super) fn common<B>(
        &self,
        observers: &Observers,
        protocol: Kind,
        req: &Request<B>,
    ) -> Arc<Common> {
        let route = req.extensions().get::<MatchedPath>();
        let (scheme, host) = (client::scheme(req), host(req));
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |common: &&Arc<Common>| {
            Arc::ptr_eq(&common.observers, observers)
                && common.protocol == protocol
                && common.route.as_ref().map(MatchedPath::as_str) == route.map(MatchedPath::as_str)
                && common.scheme == scheme
                && common.host.as_deref() == host
        };
        if let Some(common) = recent.all.iter().find(is_same) {
            return Arc::clone(common);
        }
        let common = Arc::new(Common {
            observers: Arc::clone(observers),
            protocol,
            route: route.cloned(),
            scheme,
            host: host.map(Into::into),
        });
        recent.push(Arc::clone(&common));
        common
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").finish_non_exhaustive()
    }
}

/// The host that the client asked for. An authority goes before the field (RFC 9112 3.2.2).
fn host<B>(req: &Request<B>) -> Option<&str> {
    let authority = req.uri().authority().map(Authority::as_str);
    let field = || tokens::only(req.headers(), &HOST).and_then(|h| h.to_str().ok());
    let host = authority.or_else(field)?;
    // What stands before an `@` may be a password.
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    (host.len() <= MAX_HOST).then_some(host)
}

// ===== impl Ring =====

impl Ring {
    fn push(&mut self, common: Arc<Common>) {
        if self.all.len() < KEPT {
            self.all.push(common);
            return;
        }
        self.all[self.oldest] = common;
        self.oldest = (self.oldest + 1) % KEPT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a handshake to this host has in common with those before.
    fn common(recent: &Recent, observers: &Observers, host: &str) -> Arc<Common> {
        let req = Request::get("/").header(HOST, host).body(()).unwrap();
        let common = recent.common(observers, Kind::Upgrade, &req);
        assert_eq!(common.host.as_deref(), Some(host));
        common
    }

    #[test]
    fn handshakes_to_the_same_host_share_it() {
        let (recent, observers) = (Recent::default(), Observers::default());
        let [a, b] = ["a", "b"].map(|host| common(&recent, &observers, host));
        for (host, of) in [("a", &a), ("b", &b)] {
            assert!(Arc::ptr_eq(&common(&recent, &observers, host), of));
        }
        let others = Observers::default();
        assert!(!Arc::ptr_eq(&common(&recent, &others, "a"), &a));
    }

    #[test]
    fn no_client_can_make_it_remember_more_than_a_few_hosts() {
        let (recent, observers) = (Recent::default(), Observers::default());
        for number in 0..1000 {
            common(&recent, &observers, &number.to_string());
        }
        let ring = recent.0.lock().unwrap();
        let hosts = ring.all.iter().filter_map(|c| c.host.as_deref());
        let mut hosts: Vec<u32> = hosts.map(|host| host.parse().unwrap()).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, Vec::from_iter(992..1000));
    }
}
