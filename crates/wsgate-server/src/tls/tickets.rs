//! Tickets by which clients resume a session, and for how long they are good.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{NoServerSessionStorage, ProducesTickets};

use crate::error::{ServerError, ServerErrorKind};
use crate::tls::clients::Check;

/// The keys that tickets are sealed with, and whom they let in.
///
/// A client that resumes a session shows no certificate again: its ticket vouches for what it showed.
/// So tickets end with the check that was made for them. Where that stays the same, they outlive the
/// certificates of the server, and a crowd that comes back after a renewal need not shake hands in full.
#[derive(Clone, Debug)]
pub(super) struct Tickets {
    check: Option<Check>,
    keys: Arc<dyn ProducesTickets>,
}

// ===== impl Tickets =====

impl Tickets {
    /// The keys from `before`, if who held a ticket then would be let in now; else new ones.
    ///
    /// They are rustls': AES-256 and HMAC-SHA256, made by chance, of this process alone, changed every
    /// 6 hours. The last key but one is forgotten, so no ticket is good for more than 12 hours.
    pub(super) fn following(
        before: Option<&Self>,
        check: Option<Check>,
    ) -> Result<Self, ServerError> {
        if let Some(before) = before
            && before.check == check
        {
            return Ok(before.clone());
        }
        let keys = Ticketer::new().map_err(|error| {
            let what = "there is no randomness for the keys of session tickets";
            ServerError::new(ServerErrorKind::Key, what).because(error)
        })?;
        Ok(Self { check, keys })
    }

    /// Has a server give them out. It then keeps nothing itself: rustls would remember 256 sessions, and
    /// any number of clients may come back after a drain.
    pub(super) fn install(&self, config: &mut ServerConfig) {
        config.ticketer = Arc::clone(&self.keys);
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::default_provider;

    use super::*;
    use crate::tls::Pem;
    use crate::tls::clients::Clients;

    fn check(ca: &str, required: bool) -> Option<Check> {
        let ca = Pem::bytes(ca);
        let provider = Arc::new(default_provider());
        Some(Clients { ca, required }.read(provider).unwrap().0)
    }

    fn ca() -> String {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn they_are_kept_only_where_the_same_clients_are_let_in() {
        #[track_caller]
        fn holds(before: Option<&Check>, after: Option<&Check>, kept: bool) {
            let old = Tickets::following(None, before.cloned()).unwrap();
            let new = Tickets::following(Some(&old), after.cloned()).unwrap();
            let ticket = old.keys.encrypt(b"session").unwrap();
            assert_eq!(new.keys.decrypt(&ticket).is_some(), kept);
        }
        let (a, b) = (ca(), ca());
        let both = check(&format!("{a}{b}"), true);
        let (a_alone, a_again) = (check(&a, true), check(&a, true));
        let optional = check(&a, false);

        holds(None, None, true);
        holds(a_alone.as_ref(), a_again.as_ref(), true);
        holds(both.as_ref(), a_alone.as_ref(), false);
        holds(a_alone.as_ref(), both.as_ref(), false);
        holds(optional.as_ref(), a_alone.as_ref(), false);
        holds(None, a_alone.as_ref(), false);
        holds(a_alone.as_ref(), None, false);
    }
}
