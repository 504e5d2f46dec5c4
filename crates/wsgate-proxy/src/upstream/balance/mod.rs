//! Which endpoint gets the next tunnel.

mod chance;
mod cookies;
mod hash;
mod kept;
mod kind;
mod least_tunnels;
mod random;
mod round_robin;
mod sticky_cookie;
mod two_choices;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr};

use http::HeaderMap;

pub use self::{
    hash::{Hash, HashKey},
    kind::{BalanceKind, BalanceKindError},
    least_tunnels::LeastTunnels,
    random::Random,
    round_robin::RoundRobin,
    sticky_cookie::{SameSite, StickyCookie, StickyCookieError},
    two_choices::TwoChoices,
};

use super::{Candidate, Candidates};

/// Chooses the endpoint of a new tunnel.
///
/// # Example
///
/// One room, one endpoint, as far as that goes; else the first that can:
///
/// ```
/// use wsgate_proxy::upstream::{Balance, Candidate, Candidates, Handshake};
///
/// #[derive(Debug)]
/// struct ByRoom;
///
/// impl Balance for ByRoom {
///     fn choose<'a>(&self, handshake: &Handshake<'_>, candidates: &Candidates<'a>) -> Option<Candidate<'a>> {
///         let room: usize = handshake.path.rsplit('/').next()?.parse().ok()?;
///         let own = candidates.get(room % candidates.total());
///         own.or_else(|| candidates.iter().next())
///     }
/// }
/// ```
pub trait Balance: fmt::Debug + Send + Sync + 'static {
    /// Chooses one of the candidates. `None`, which should mean that there is none, gives the client
    /// 503.
    ///
    /// Called once for each try, from many threads at once. Must not block.
    fn choose<'a>(
        &self,
        handshake: &Handshake<'_>,
        candidates: &Candidates<'a>,
    ) -> Option<Candidate<'a>>;

    /// The chosen endpoint has accepted: a chance to add fields to the answer, a cookie for one.
    /// Default: nothing.
    fn accepted(&self, handshake: &Handshake<'_>, chosen: Candidate<'_>, answer: &mut HeaderMap) {
        let _ = (handshake, chosen, answer);
    }

    /// Whether a client that comes back goes where it was, as with hashing or a cookie. Such a group
    /// cannot be [rebalanced](super::Rebalance). Default: no.
    fn is_sticky(&self) -> bool {
        false
    }
}

impl Balance for Box<dyn Balance> {
    fn choose<'a>(
        &self,
        handshake: &Handshake<'_>,
        candidates: &Candidates<'a>,
    ) -> Option<Candidate<'a>> {
        (**self).choose(handshake, candidates)
    }

    fn accepted(&self, handshake: &Handshake<'_>, chosen: Candidate<'_>, answer: &mut HeaderMap) {
        (**self).accepted(handshake, chosen, answer);
    }

    fn is_sticky(&self) -> bool {
        (**self).is_sticky()
    }
}

/// What a [`Balance`] may go by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Handshake<'a> {
    /// The fields of the client's request.
    pub headers: &'a HeaderMap,
    /// The path that the client asked for.
    pub path: &'a str,
    /// Its query, without the question mark.
    pub query: Option<&'a str>,
    /// The client, behind trusted proxies too; `None` where the server does not tell.
    pub client: Option<IpAddr>,
    /// Whether the client came by `https` or `wss`.
    pub is_secure: bool,
}

// ===== impl Handshake =====

impl<'a> Handshake<'a> {
    /// One with these fields for this path, without a query, of a client that is not known, and not by
    /// `https`. For tests of a policy, with the fields of this type to be set as they should be.
    #[must_use]
    pub const fn new(headers: &'a HeaderMap, path: &'a str) -> Self {
        Self {
            headers,
            path,
            query: None,
            client: None,
            is_secure: false,
        }
    }
}
