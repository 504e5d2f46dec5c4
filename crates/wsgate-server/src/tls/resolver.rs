//! Which certificate a client gets, and what is logged when none fits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::time::Instant;
use tracing::warn;

use crate::throttle::Throttle;
use crate::tls::identity::Identity;
use crate::tls::names::summary;

tokio::task_local! {
    /// The connection whose handshake is being polled.
    ///
    /// rustls shows a resolver what the client asks for, not who it is. The acceptor sets this
    /// around the handshake, so that a log line can name the peer, and a client that came by
    /// address can be given the certificate for that address.
    pub(crate) static ORIGIN: Origin;
}

/// Both ends of an accepted connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// Chooses by server name (SNI), as nginx does: the exact name first, then a wildcard of one
/// label, else the first certificate, which is the default.
///
/// A client that sends no name came by IP address (RFC 6066 3 allows no addresses in SNI), and
/// gets the certificate that covers the address it came to, if there is one.
#[derive(Debug)]
pub(super) struct Resolver {
    /// Never empty: the first is the default.
    identities: Vec<Identity>,
    /// Indices into `identities`. Where two cover the same name, the first does.
    exact: HashMap<String, usize>,
    /// By what stands behind `*.`.
    wildcards: HashMap<String, usize>,
    addresses: HashMap<IpAddr, usize>,
    /// Every name covered, in the order given.
    names: Arc<[String]>,
    unknown: Throttle,
}

/// The outcome for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice {
    index: usize,
    /// Whether the certificate is good for what the client asked for.
    fits: bool,
}

// ===== impl Resolver =====

impl Resolver {
    /// # Panics
    ///
    /// When there is no identity at all.
    pub(super) fn new(identities: Vec<Identity>) -> Self {
        assert!(!identities.is_empty(), "a resolver needs a default");
        let mut exact = HashMap::new();
        let mut wildcards = HashMap::new();
        let mut addresses = HashMap::new();
        let mut names = Vec::new();
        for (index, identity) in identities.iter().enumerate() {
            let facts = &identity.facts;
            for name in &facts.dns {
                match name.strip_prefix("*.") {
                    Some(parent) => wildcards.entry(parent.to_owned()).or_insert(index),
                    None => exact.entry(name.clone()).or_insert(index),
                };
            }
            for address in &facts.addresses {
                addresses.entry(*address).or_insert(index);
            }
            for name in facts.names() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        Self {
            identities,
            exact,
            wildcards,
            addresses,
            names: names.into(),
            unknown: Throttle::default(),
        }
    }

    /// Every name and address that a certificate covers, without repetition.
    pub(super) fn names(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn choose(&self, asked: Option<&str>, local: Option<IpAddr>) -> Choice {
        let found = match asked {
            Some(name) => {
                let name = name.to_ascii_lowercase();
                self.exact.get(&name).or_else(|| {
                    // RFC 9525 6.3: the star stands for exactly one label.
                    let (_, parent) = name.split_once('.')?;
                    self.wildcards.get(parent)
                })
            }
            None => local.and_then(|address| self.addresses.get(&address.to_canonical())),
        };
        match found {
            Some(&index) => Choice { index, fits: true },
            None => Choice {
                index: 0,
                fits: false,
            },
        }
    }

    /// Says who came under a name that no certificate covers, and which names would work.
    fn report(&self, asked: Option<&str>, origin: Option<Origin>) {
        let Some(suppressed) = self.unknown.admit(Instant::now()) else {
            return;
        };
        let peer = origin.map(|origin| tracing::field::display(origin.peer));
        let covered = summary(&self.names);
        let advice = self.advice(origin.map(|origin| origin.local.port()));
        match asked {
            Some(asked) => warn!(
                peer,
                server_name = asked,
                %covered,
                suppressed,
                "a client asked for a name that no certificate covers, and got the default \
                 certificate, which browsers do not accept for it: {advice}"
            ),
            None => {
                let address = origin.map(|origin| tracing::field::display(origin.local.ip()));
                warn!(
                    peer,
                    address,
                    %covered,
                    suppressed,
                    "a client sent no server name, as one does that came by IP address, and no \
                     certificate covers the address: {advice}"
                );
            }
        }
    }

    fn advice(&self, port: Option<u16>) -> String {
        let name = self
            .names
            .iter()
            .find(|name| !name.starts_with("*.") && name.parse::<IpAddr>().is_err());
        let Some(name) = name else {
            return "open one of the names that are covered".to_owned();
        };
        match port {
            None | Some(443) => format!("open https://{name} instead"),
            Some(port) => format!("open https://{name}:{port} instead"),
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let origin = ORIGIN.try_with(|origin| *origin).ok();
        let choice = self.choose(asked, origin.map(|origin| origin.local.ip()));
        if !choice.fits {
            self.report(asked, origin);
        }
        Some(self.identities[choice.index].key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Pem;

    fn resolver(certificates: &[&[&str]]) -> Resolver {
        let identity = |names: &&[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let made = rcgen::generate_simple_self_signed(names).unwrap();
            let key = Pem::bytes(made.signing_key.serialize_pem());
            Identity::load(&Pem::bytes(made.cert.pem()), &key).unwrap()
        };
        Resolver::new(certificates.iter().map(identity).collect())
    }

    #[test]
    fn chooses_exact_then_wildcard_then_the_first() {
        let resolver = resolver(&[
            &["default.test"],
            &["*.example.com", "example.com"],
            &["a.example.com", "example.com"],
        ]);
        #[track_caller]
        fn check(resolver: &Resolver, asked: &str, index: usize, fits: bool) {
            assert_eq!(resolver.choose(Some(asked), None), Choice { index, fits });
        }
        check(&resolver, "default.test", 0, true);
        check(&resolver, "A.Example.COM", 2, true);
        check(&resolver, "b.example.com", 1, true);
        check(&resolver, "example.com", 1, true);
        check(&resolver, "c.b.example.com", 0, false);
        check(&resolver, "com", 0, false);
        check(&resolver, "other.test", 0, false);
    }

    #[test]
    fn a_client_without_a_name_gets_the_certificate_of_the_address() {
        let resolver = resolver(&[&["example.com"], &["192.0.2.1", "::1"]]);
        let check = |local: Option<&str>, index, fits| {
            let local = local.map(|ip| ip.parse().unwrap());
            assert_eq!(resolver.choose(None, local), Choice { index, fits });
        };
        check(Some("192.0.2.1"), 1, true);
        check(Some("::ffff:192.0.2.1"), 1, true);
        check(Some("::1"), 1, true);
        check(Some("192.0.2.2"), 0, false);
        check(None, 0, false);
    }

    #[test]
    fn names_are_listed_once_in_the_order_given() {
        let resolver = resolver(&[&["b.test", "*.b.test"], &["a.test", "b.test", "192.0.2.1"]]);
        assert_eq!(
            *resolver.names(),
            ["b.test", "*.b.test", "a.test", "192.0.2.1"]
        );
    }

    #[test]
    fn the_advice_is_a_name_that_a_browser_can_open() {
        let advice = |names: &[&str], port| resolver(&[names]).advice(port);
        assert_eq!(
            advice(&["*.a.test", "a.test"], Some(443)),
            "open https://a.test instead"
        );
        assert_eq!(
            advice(&["a.test"], Some(8443)),
            "open https://a.test:8443 instead"
        );
        assert!(advice(&["*.a.test", "192.0.2.1"], None).contains("one of the names"));
    }
}
