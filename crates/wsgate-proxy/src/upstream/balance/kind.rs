use std::{fmt, str::FromStr};

use http::HeaderName;

use super::{
    Balance, Hash, HashKey, LeastTunnels, Random, RoundRobin, StickyCookie, TwoChoices, cookies,
};

/// One of our policies, as configurations name it.
///
/// # Example
///
/// ```
/// use wsgate_proxy::upstream::BalanceKind;
///
/// let kind: BalanceKind = "hash:header=x-user".parse()?;
/// let policy = kind.policy();
/// # Ok::<(), wsgate_proxy::upstream::BalanceKindError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BalanceKind {
    /// `least-tunnels`: [`LeastTunnels`].
    #[default]
    LeastTunnels,
    /// `two-choices`: [`TwoChoices`].
    TwoChoices,
    /// `round-robin`: [`RoundRobin`].
    RoundRobin,
    /// `random`: [`Random`].
    Random,
    /// `hash:header=NAME`, `hash:cookie=NAME`, `hash:query=NAME`, `hash:client`: [`Hash`](struct@Hash).
    Hash(HashKey),
    /// `sticky-cookie`: [`StickyCookie`], with a random key.
    StickyCookie,
}

/// A policy that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BalanceKindError {
    /// There is none of this name.
    #[error(
        "`{0}` is no balancing policy: write least-tunnels, two-choices, round-robin, random, \
         hash:header=NAME, hash:cookie=NAME, hash:query=NAME, hash:client or sticky-cookie"
    )]
    Unknown(String),
    /// It is a hash, of what is not said.
    #[error(
        "`{0}` does not say what to hash: write hash:header=NAME, hash:cookie=NAME, \
         hash:query=NAME or hash:client"
    )]
    Key(String),
    /// What is to be hashed cannot be called so.
    #[error("in `{policy}`, `{name}` cannot be the name of a {what}")]
    Name {
        /// The whole.
        policy: String,
        /// The name.
        name: String,
        /// Of what.
        what: &'static str,
    },
}

// ===== impl BalanceKind =====

impl BalanceKind {
    /// The policy, with its default settings.
    #[must_use]
    pub fn policy(&self) -> Box<dyn Balance> {
        match self {
            Self::LeastTunnels => Box::new(LeastTunnels::new()),
            Self::TwoChoices => Box::new(TwoChoices::new()),
            Self::RoundRobin => Box::new(RoundRobin::new()),
            Self::Random => Box::new(Random::new()),
            Self::Hash(key) => Box::new(Hash::by(key.clone())),
            Self::StickyCookie => Box::new(StickyCookie::new()),
        }
    }
}

impl FromStr for BalanceKind {
    type Err = BalanceKindError;

    fn from_str(s: &str) -> Result<Self, BalanceKindError> {
        match s {
            "least-tunnels" => Ok(Self::LeastTunnels),
            "two-choices" => Ok(Self::TwoChoices),
            "round-robin" => Ok(Self::RoundRobin),
            "random" => Ok(Self::Random),
            "sticky-cookie" => Ok(Self::StickyCookie),
            "hash" => Err(BalanceKindError::Key(s.to_owned())),
            _ => match s.strip_prefix("hash:") {
                Some(key) => hash_key(s, key).map(Self::Hash),
                None => Err(BalanceKindError::Unknown(s.to_owned())),
            },
        }
    }
}

impl fmt::Display for BalanceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeastTunnels => f.write_str("least-tunnels"),
            Self::TwoChoices => f.write_str("two-choices"),
            Self::RoundRobin => f.write_str("round-robin"),
            Self::Random => f.write_str("random"),
            Self::Hash(HashKey::Header(name)) => write!(f, "hash:header={name}"),
            Self::Hash(HashKey::Cookie(name)) => write!(f, "hash:cookie={name}"),
            Self::Hash(HashKey::Query(name)) => write!(f, "hash:query={name}"),
            Self::Hash(HashKey::Client) => f.write_str("hash:client"),
            Self::StickyCookie => f.write_str("sticky-cookie"),
        }
    }
}

fn hash_key(policy: &str, key: &str) -> Result<HashKey, BalanceKindError> {
    if key == "client" {
        return Ok(HashKey::Client);
    }
    let unclear = || BalanceKindError::Key(policy.to_owned());
    let (what, name) = key.split_once('=').ok_or_else(unclear)?;
    let (key, what) = match what {
        "header" => {
            let name = HeaderName::from_bytes(name.as_bytes()).ok();
            (name.map(HashKey::Header), "field")
        }
        "cookie" => {
            let name = cookies::is_name(name).then(|| name.to_owned());
            (name.map(HashKey::Cookie), "cookie")
        }
        "query" => {
            let is_sound = !name.is_empty() && !name.contains(['&', '=', '#', ' ']);
            let name = is_sound.then(|| name.to_owned());
            (name.map(HashKey::Query), "query parameter")
        }
        _ => return Err(unclear()),
    };
    key.ok_or_else(|| BalanceKindError::Name {
        policy: policy.to_owned(),
        name: name.to_owned(),
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_is_read_as_it_is_written() {
        for text in [
            "least-tunnels",
            "two-choices",
            "round-robin",
            "random",
            "hash:header=x-user",
            "hash:cookie=session",
            "hash:query=room",
            "hash:client",
            "sticky-cookie",
        ] {
            let kind: BalanceKind = text.parse().unwrap();
            assert_eq!(kind.to_string(), text);
            let name: String = format!("{:?}", kind.policy()).to_lowercase();
            let word = text.split([':', '-']).next().unwrap();
            assert!(name.starts_with(word), "{text}: {name}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let error = text.parse::<BalanceKind>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        for text in ["", "least", "LEAST-TUNNELS", "random:", "hashes"] {
            check(text, &format!("`{text}` is no balancing policy: write"));
        }
        for text in [
            "hash",
            "hash:",
            "hash:x-user",
            "hash:client=1",
            "hash:path=x",
        ] {
            check(text, &format!("`{text}` does not say what to hash: write"));
        }
        check(
            "hash:header=x user",
            "in `hash:header=x user`, `x user` cannot be the name of a field",
        );
        check(
            "hash:cookie=",
            "in `hash:cookie=`, `` cannot be the name of a cookie",
        );
        check(
            "hash:query=a&b",
            "in `hash:query=a&b`, `a&b` cannot be the name of a query parameter",
        );
    }
}
