use std::net::IpAddr;

use http::HeaderName;

use super::{Balance, Candidate, Candidates, Handshake, LeastTunnels, chance::mix, cookies};
use crate::upstream::member;

/// Handshakes with the same key go to the same endpoint, unless that already has far more than its
/// share.
///
/// Every key has an order of its own of all endpoints, in which heavier ones stand further ahead
/// (weighted rendezvous hashing). It goes to the first of them that can take a tunnel. So when an
/// endpoint goes, only its own keys move, each to the next of its order; they come back with it; and a
/// new endpoint draws its share of keys from all others. All gateways agree on the orders, whatever
/// their version, without talking to each other.
///
/// A key that many share, a large room, would drown an endpoint. So no endpoint takes more than 1.25
/// times the mean for its weight, or what was set as [`bound`](Self::bound); past it the key's
/// tunnels go to the next of its order ("consistent hashing with bounded loads", Mirrokni, Thorup,
/// Zadimoghaddam, 2016). The mean is that of the endpoints that can take a tunnel now, each gateway
/// counting its own tunnels. While there are only a few tunnels the bound is a small number, and keys
/// are spread more than they will be later.
///
/// A handshake without the key, or with an empty one, goes to the endpoint with the
/// [fewest tunnels](LeastTunnels).
///
/// A choice looks at all endpoints, at most twice.
///
/// # Example
///
/// ```
/// use wsgate_proxy::upstream::{Hash, Upstream};
///
/// let rooms = Upstream::builder("rooms")
///     .endpoint("http://10.0.0.1:9000".parse::<wsgate_proxy::Endpoint>()?)
///     .endpoint("http://10.0.0.2:9000".parse::<wsgate_proxy::Endpoint>()?)
///     .balance(Hash::by_query("room"))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hash {
    key: HashKey,
    bound: f64,
}

/// What of a handshake is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashKey {
    /// The value of a field; the first, if there are several.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
    /// The value of a parameter of the query, as it is written there: `a%20b` and `a+b` are two.
    Query(String),
    /// The client's address, without its port: many clients share one behind a NAT, and a client may
    /// have several. Behind other proxies, trust them, else it is theirs.
    Client,
}

/// The first of a key's order, of those that were offered.
struct First<'a> {
    key: u64,
    candidate: Option<Candidate<'a>>,
    score: f64,
}

// ===== impl Hash =====

impl Hash {
    /// By how much the fullest endpoint may exceed the mean by default: 1.25, a quarter. Closer to 1
    /// moves more keys away from their first endpoint, and further from it buys little stickiness.
    pub const DEFAULT_BOUND: f64 = 1.25;

    /// By this key.
    #[must_use]
    pub const fn by(key: HashKey) -> Self {
        Self {
            key,
            bound: Self::DEFAULT_BOUND,
        }
    }

    /// By the value of a field of the request.
    ///
    /// # Panics
    ///
    /// If a field cannot be called so.
    #[must_use]
    pub fn by_header(name: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes());
        Self::by(HashKey::Header(name.expect("the name of a field")))
    }

    /// By the value of a cookie, one that the application sets.
    #[must_use]
    pub fn by_cookie(name: impl Into<String>) -> Self {
        Self::by(HashKey::Cookie(name.into()))
    }

    /// By the value of a parameter of the query: `room` in `/websocket?room=7`.
    #[must_use]
    pub fn by_query(name: impl Into<String>) -> Self {
        Self::by(HashKey::Query(name.into()))
    }

    /// By the client's address.
    #[must_use]
    pub const fn by_client() -> Self {
        Self::by(HashKey::Client)
    }

    /// How many times the mean for its weight an endpoint takes at most. Default:
    /// [1.25](Self::DEFAULT_BOUND). At least 1; `f64::INFINITY` for no bound.
    #[must_use]
    pub const fn bound(mut self, times: f64) -> Self {
        self.bound = times.max(1.0);
        self
    }

    /// The most tunnels of an endpoint of this weight, where there are so many with the new one.
    fn most(&self, tunnels: f64, share: f64) -> f64 {
        // What binary fractions add must not become a whole tunnel.
        (self.bound * tunnels * share - 1e-9).ceil()
    }
}

impl Balance for Hash {
    fn choose<'a>(
        &self,
        handshake: &Handshake<'_>,
        candidates: &Candidates<'a>,
    ) -> Option<Candidate<'a>> {
        let Some(key) = self.key.hash(handshake) else {
            return LeastTunnels::new().choose(handshake, candidates);
        };
        let (mut tunnels, mut weights) = (1.0, 0.0);
        let mut first = First::of(key);
        for candidate in candidates.iter() {
            tunnels += f64::from(candidate.tunnels());
            weights += candidate.weight();
            first.offer(candidate);
        }
        let first = first.candidate?;
        let has_room =
            |c: &Candidate<'_>| f64::from(c.tunnels()) < self.most(tunnels, c.weight() / weights);
        if has_room(&first) {
            return Some(first);
        }
        let mut next = First::of(key);
        candidates
            .iter()
            .filter(has_room)
            .for_each(|c| next.offer(c));
        // There is always one with room, unless tunnels came while we looked.
        next.candidate.or(Some(first))
    }

    fn is_sticky(&self) -> bool {
        true
    }
}

// ===== impl HashKey =====

impl HashKey {
    fn hash(&self, handshake: &Handshake<'_>) -> Option<u64> {
        let of = |value: &[u8]| (!value.is_empty()).then(|| member::hash(value));
        match self {
            Self::Header(name) => of(handshake.headers.get(name)?.as_bytes()),
            Self::Cookie(name) => of(cookies::values(handshake.headers, name).next()?),
            Self::Query(name) => {
                let parameters = handshake.query?.split('&');
                let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
                of(pairs.find(|(key, _)| key == name)?.1.as_bytes())
            }
            Self::Client => match handshake.client? {
                IpAddr::V4(ip) => of(&ip.octets()),
                IpAddr::V6(ip) => of(&ip.octets()),
            },
        }
    }
}

// ===== impl First =====

impl<'a> First<'a> {
    const fn of(key: u64) -> Self {
        Self {
            key,
            candidate: None,
            score: 0.0,
        }
    }

    /// The order is that of `weight / -ln(hash)`, with the hash between 0 and 1. It makes an endpoint
    /// the first of as many keys as its weight says, whatever other endpoints there are.
    fn offer(&mut self, candidate: Candidate<'a>) {
        let weight = candidate.weight();
        let hash = ((mix(self.key ^ candidate.hash()) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        // As -ln(x) is at least 1 - x, most logarithms need not be known.
        if (1.0 - hash) * self.score >= weight {
            return;
        }
        let score = weight / -hash.ln();
        if score > self.score {
            self.score = score;
            self.candidate = Some(candidate);
        }
    }
}
