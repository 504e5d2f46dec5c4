use std::{collections::HashMap, fmt, time::Duration};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
use rand::Rng;

use super::{Balance, Candidate, Candidates, Handshake, LeastTunnels, cookies, kept::Kept};

/// A browser that comes back goes to the endpoint that it had before, by a cookie that we set.
///
/// The cookie comes with the answer to the handshake and names the endpoint by a keyed hash, so that
/// nobody learns addresses from it; it is signed (HMAC-SHA256), so that nobody chooses an endpoint for
/// himself. It is `HttpOnly`; `Secure` where the client came by `https`; `SameSite=Lax`, for the whole
/// site and for as long as the browser runs, unless set otherwise. A client without a cookie, with one
/// that is not ours, or with one for an endpoint that is gone or can't take a tunnel now, goes where
/// [another policy](Self::otherwise) says, and gets a new cookie. The upstream sees the cookie beside the
/// application's own.
///
/// # The key
///
/// All gateways in front of the same endpoints need the same [key](Self::with_key). Without one it is
/// random: another gateway, or this one after a restart, knows no cookies from before, and sends each
/// of those clients anywhere, once.
///
/// # Several groups
///
/// A cookie names an endpoint of one group. Groups on the same host need cookies of different
/// [names](Self::name), or for different [paths](Self::path); else each overwrites the others'.
///
/// # Pages of other sites
///
/// With `SameSite=Lax` a browser sends the cookie only where the page belongs to the same site as the
/// WebSocket. For pages of other sites it takes [`SameSite::None`], which browsers accept only from
/// `https`; and browsers that block third-party cookies do not send it even so. Then [`Hash`](super::Hash)
/// by something in the URL does better.
///
/// # Example
///
/// ```
/// use wsgate_proxy::upstream::StickyCookie;
/// # let secret = [7; 32];
///
/// let sticky = StickyCookie::with_key(&secret)?.name("chat-endpoint")?.path("/chat/")?;
/// # Ok::<(), wsgate_proxy::upstream::StickyCookieError>(())
/// ```
pub struct StickyCookie<B = LeastTunnels> {
    key: hmac::Key,
    attributes: Attributes,
    otherwise: B,
    endpoints: Kept<HashMap<Id, usize>>,
}

/// To which requests browsers add a cookie (RFC 6265bis 4.1.2.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Those of the same site's pages. For a WebSocket the same as [`Lax`](Self::Lax), which differs for
    /// links only.
    Strict,
    /// Those of the same site's pages, and links from elsewhere.
    #[default]
    Lax,
    /// All. The cookie is `Secure` then, as browsers demand.
    None,
}

/// Settings that make no sticky cookie.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StickyCookieError {
    /// Too short to keep anybody from guessing it.
    #[error(
        "a key of {0} bytes is too short to sign cookies with: it takes at least 32, from a random source"
    )]
    ShortKey(usize),
    /// Not a token.
    #[error("`{0}` cannot be the name of a cookie: write it in letters, digits, `-` and `_`")]
    Name(String),
    /// Not a path, or one that would end the attribute.
    #[error("`{0}` cannot be the path of a cookie: it begins with `/` and has no `;`")]
    Path(String),
}

#[derive(Clone, Debug)]
struct Attributes {
    name: String,
    path: String,
    same_site: SameSite,
    max_age: Option<Duration>,
}

/// What an endpoint is called in cookies.
type Id = [u8; ID];

// ===== impl StickyCookie =====

impl StickyCookie {
    /// The least length of a [key](Self::with_key), in bytes: 32, as much as the signature has.
    pub const MIN_KEY: usize = 32;

    /// The cookie's [name](Self::name) by default.
    pub const DEFAULT_NAME: &str = "wsgate";

    /// Signs with a random key, which nobody else has, and which is gone with this process.
    #[must_use]
    pub fn new() -> Self {
        let mut key = [0; Self::MIN_KEY];
        rand::rng().fill(&mut key);
        Self::signed_by(&key)
    }

    /// Signs with this key: random bytes, kept as secret as a certificate's key.
    ///
    /// # Errors
    ///
    /// If they are less than [32](Self::MIN_KEY).
    pub fn with_key(key: &[u8]) -> Result<Self, StickyCookieError> {
        match key.len() < Self::MIN_KEY {
            true => Err(StickyCookieError::ShortKey(key.len())),
            false => Ok(Self::signed_by(key)),
        }
    }

    fn signed_by(key: &[u8]) -> Self {
        Self {
            key: hmac::Key::new(HMAC_SHA256, key),
            attributes: Attributes {
                name: Self::DEFAULT_NAME.to_owned(),
                path: "/".to_owned(),
                same_site: SameSite::default(),
                max_age: None,
            },
            otherwise: LeastTunnels::new(),
            endpoints: Kept::default(),
        }
    }
}

impl<B> StickyCookie<B> {
    /// Its name. Default: `wsgate`. With `__Host-` in front, browsers take it from this very host only.
    ///
    /// # Errors
    ///
    /// If a cookie cannot be called so.
    pub fn name(mut self, name: impl Into<String>) -> Result<Self, StickyCookieError> {
        let name = name.into();
        if !cookies::is_name(&name) {
            return Err(StickyCookieError::Name(name));
        }
        self.attributes.name = name;
        Ok(self)
    }

    /// The requests that it is sent with: those whose path begins so. Default: `/`, all of the host.
    ///
    /// # Errors
    ///
    /// If it is no path.
    pub fn path(mut self, path: impl Into<String>) -> Result<Self, StickyCookieError> {
        let path = path.into();
        let is_sound = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b';';
        if !path.starts_with('/') || !path.bytes().all(is_sound) {
            return Err(StickyCookieError::Path(path));
        }
        self.attributes.path = path;
        Ok(self)
    }

    /// From which sites' pages it is sent. Default: [`SameSite::Lax`].
    #[must_use]
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.attributes.same_site = same_site;
        self
    }

    /// How long browsers keep it, from the last handshake on, in whole seconds. Default: until they are
    /// closed.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.attributes.max_age = Some(age);
        self
    }

    /// Who chooses for a client without a cookie, or whose endpoint can't take a tunnel. Default:
    /// [`LeastTunnels`].
    #[must_use]
    pub fn otherwise<C: Balance>(self, otherwise: C) -> StickyCookie<C> {
        StickyCookie {
            key: self.key,
            attributes: self.attributes,
            otherwise,
            endpoints: self.endpoints,
        }
    }

    /// What the client's cookie names, if it is one of ours.
    fn named(&self, handshake: &Handshake<'_>) -> Option<Id> {
        let mut values = cookies::values(handshake.headers, &self.attributes.name);
        values.find_map(|value| self.verified(value))
    }

    fn verified(&self, value: &[u8]) -> Option<Id> {
        let mut bytes = [0; ID + SIGNATURE];
        // What is longer has no room, and is not ours.
        let length = BASE64_URL_SAFE_NO_PAD
            .decode_slice(value, &mut bytes)
            .ok()?;
        let (id, signature) = bytes[..length].split_first_chunk()?;
        // In constant time.
        hmac::verify(&self.key, &self.signed(id), signature).ok()?;
        Some(*id)
    }

    fn id(&self, endpoint: u64) -> Id {
        let tag = hmac::sign(&self.key, &[ENDPOINT, &endpoint.to_be_bytes()].concat());
        let first = tag.as_ref().first_chunk();
        *first.expect("an HMAC-SHA256 has 32 bytes")
    }

    fn value(&self, id: &Id) -> String {
        let signature = hmac::sign(&self.key, &self.signed(id));
        BASE64_URL_SAFE_NO_PAD.encode([id, signature.as_ref()].concat())
    }

    /// With the cookie's name, so that none can be passed off as another's.
    fn signed(&self, id: &Id) -> Vec<u8> {
        [COOKIE, self.attributes.name.as_bytes(), &[0], id].concat()
    }

    fn set_cookie(&self, id: &Id, is_secure: bool) -> HeaderValue {
        let Attributes {
            name,
            path,
            same_site,
            max_age,
        } = &self.attributes;
        let mut cookie = format!("{name}={}; Path={path}; HttpOnly", self.value(id));
        cookie += match same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        };
        if is_secure || *same_site == SameSite::None {
            cookie += "; Secure";
        }
        if let Some(age) = max_age {
            cookie += &format!("; Max-Age={}", age.as_secs());
        }
        HeaderValue::try_from(cookie).expect("name and path were checked, the rest is ours")
    }
}

impl<B: Balance> Balance for StickyCookie<B> {
    fn choose<'a>(
        &self,
        handshake: &Handshake<'_>,
        candidates: &Candidates<'a>,
    ) -> Option<Candidate<'a>> {
        let place = self.named(handshake).and_then(|id| {
            // Each endpoint is hashed once, and found without looking at the others.
            let renew = |endpoints: &mut HashMap<Id, usize>| {
                let members = candidates.tier.iter().enumerate();
                *endpoints = members.map(|(place, m)| (self.id(m.hash), place)).collect();
            };
            let find = |endpoints: &mut HashMap<Id, usize>| endpoints.get(&id).copied();
            self.endpoints.with(candidates, renew, find)
        });
        let known = place.and_then(|place| candidates.get(place));
        known.or_else(|| self.otherwise.choose(handshake, candidates))
    }

    fn accepted(&self, handshake: &Handshake<'_>, chosen: Candidate<'_>, answer: &mut HeaderMap) {
        let id = self.id(chosen.hash());
        // One that lives for a while lives on from now.
        if self.attributes.max_age.is_some() || self.named(handshake) != Some(id) {
            answer.append(SET_COOKIE, self.set_cookie(&id, handshake.is_secure));
        }
        self.otherwise.accepted(handshake, chosen, answer);
    }

    fn is_sticky(&self) -> bool {
        true
    }
}

impl Default for StickyCookie {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: fmt::Debug> fmt::Debug for StickyCookie<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StickyCookie")
            .field("attributes", &self.attributes)
            .field("otherwise", &self.otherwise)
            .finish_non_exhaustive()
    }
}

/// The bytes that name an endpoint: of a million endpoints, two are called the same in one of 30 million
/// groups.
const ID: usize = 8;
/// The bytes of an HMAC-SHA256.
const SIGNATURE: usize = 32;

// What is signed begins with what for: one is never taken for the other.
const ENDPOINT: &[u8] = b"wsgate sticky cookie 1, endpoint\0";
const COOKIE: &[u8] = b"wsgate sticky cookie 1, cookie\0";
