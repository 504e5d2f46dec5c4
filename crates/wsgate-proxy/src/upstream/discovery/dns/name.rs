use std::{fmt, net::IpAddr};

use hickory_resolver::proto::rr::Name;

use crate::{Endpoint, EndpointError, endpoint::Address};

/// What is asked for.
#[derive(Clone)]
pub(super) enum Query {
    Addresses {
        name: Name,
        /// With the name as its host.
        endpoint: Endpoint,
    },
    Services {
        name: Name,
        is_tls: bool,
        /// As it was written.
        written: String,
    },
}

/// Nothing that could be looked up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// Not of one of the forms.
    #[error(
        "`{0}` is nothing to look up: write it as dns:http://name:port, or as srv:_service._tcp.name"
    )]
    Syntax(String),
    /// It has no name: an address, or a Unix socket.
    #[error("`{0}` has no name to look up: it can be an ordinary endpoint")]
    NoName(String),
    /// What should be a name is none.
    #[error("`{0}` is no name that the DNS could have")]
    Name(String),
    /// Not an endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

// ===== impl Query =====

impl Query {
    pub(super) fn addresses(written: &str) -> Result<Self, DnsError> {
        let endpoint: Endpoint = written.parse()?;
        let host = match endpoint.address() {
            Address::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => host,
            _ => return Err(DnsError::NoName(written.to_owned())),
        };
        let name = name(host)?;
        Ok(Self::Addresses { name, endpoint })
    }

    pub(super) fn services(written: &str) -> Result<Self, DnsError> {
        let (is_tls, bare) = match written.split_once("://") {
            None => (false, written),
            Some(("http" | "ws", bare)) => (false, bare),
            Some(("https" | "wss", bare)) => (true, bare),
            Some(_) => return Err(DnsError::Syntax(format!("srv:{written}"))),
        };
        // The port is in the record.
        if bare.contains([':', '/', '?', '#', '@', '[']) || bare.parse::<IpAddr>().is_ok() {
            return Err(DnsError::Name(bare.to_owned()));
        }
        Ok(Self::Services {
            name: name(bare)?,
            is_tls,
            written: written.to_owned(),
        })
    }

    pub(super) const fn is_tls(&self) -> bool {
        match self {
            Self::Addresses { endpoint, .. } => endpoint.is_tls(),
            Self::Services { is_tls, .. } => *is_tls,
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses { endpoint, .. } => write!(f, "dns:{endpoint}"),
            Self::Services { written, .. } => write!(f, "srv:{written}"),
        }
    }
}

fn name(written: &str) -> Result<Name, DnsError> {
    // What is ASCII is taken as it is, underscores and all; the rest becomes Punycode.
    let name = match written.is_ascii() {
        true => Name::from_ascii(written),
        false => Name::from_utf8(written),
    };
    let name = name.ok().filter(|name| name.num_labels() > 0);
    name.ok_or_else(|| DnsError::Name(written.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::upstream::discovery::Dns;

    #[test]
    fn every_form_is_understood() {
        for (written, is_tls) in [
            ("dns:http://backend:9000", false),
            ("dns:wss://backend.internal", true),
            ("dns:http://my_backend.internal.:80", false),
            ("srv:_ws._tcp.backend.internal", false),
            ("srv:ws://_ws._tcp.backend.internal.", false),
            ("srv:https://_ws._tcp.backend.internal", true),
            ("srv:backend.service.consul", false),
        ] {
            let dns: Dns = written.parse().unwrap();
            assert_eq!(dns.to_string(), written);
            assert_eq!(dns.is_tls(), is_tls, "{written}");
        }
    }

    #[test]
    fn anything_else_is_named() {
        #[track_caller]
        fn check(written: &str, expected: &str) {
            let error = written.parse::<Dns>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        for written in ["", "http://backend", "DNS:http://a", "srv:ftp://a"] {
            check(written, &format!("`{written}` is nothing to look up"));
        }
        check("dns:backend", "`backend` is no endpoint");
        check("dns:http://a/app", "`http://a/app` has a path");
        check("dns:http://10.0.0.1:80", "`http://10.0.0.1:80` has no name");
        check("dns:http://[::1]", "`http://[::1]` has no name");
        check("dns:unix:/run/a.sock", "`unix:/run/a.sock` has no name");
        check("dns:http://a..b", "`a..b` is no name");
        for name in ["", ".", "a:9000", "a/app", "a..b", "10.0.0.1", "::1"] {
            check(&format!("srv:{name}"), &format!("`{name}` is no name"));
        }
        let long = "a".repeat(64);
        check(&format!("srv:{long}"), &format!("`{long}` is no name"));
    }
}
