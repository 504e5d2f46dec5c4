//! A certificate with its key: read, checked, and what is doubtful about it said.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs::sign;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use tracing::warn;

use crate::error::{ServerError, ServerErrorKind};
use crate::tls::Pem;
use crate::tls::authority::Leaf;
use crate::tls::names::Facts;

/// A certificate with its key, and what it covers.
#[derive(Debug)]
pub(super) struct Identity {
    source: Source,
    pub(super) facts: Facts,
    /// Where it was read from. `None` for one that was made here.
    pub(super) chain: Option<Pem>,
}

#[derive(Debug)]
enum Source {
    /// Read once, when the server started.
    Fixed(Arc<CertifiedKey>),
    /// Made here, and made anew before it expires.
    Development(Box<Leaf>),
}

// ===== impl Identity =====

impl Identity {
    /// Reads a chain and a key, and makes sure that they belong together.
    pub(super) fn load(chain: &Pem, key: &Pem) -> Result<Self, ServerError> {
        let certificates = chain.certificates()?;
        let private = key.private_key()?;
        key.warn_if_loose();
        let signing = sign::any_supported_type(&private).map_err(|error| {
            ServerError::new(
                ServerErrorKind::Key,
                format!("the private key {key} is of no kind that TLS uses (RSA, ECDSA, Ed25519)"),
            )
            .because(error)
        })?;
        let facts = Facts::read(&certificates[0]).map_err(|error| {
            ServerError::new(
                ServerErrorKind::Certificate,
                format!("the certificate {chain} is not well-formed X.509"),
            )
            .because(error)
        })?;

        let identity = CertifiedKey::new(certificates, signing);
        if let Err(error) = identity.keys_match() {
            if !matches!(error, rustls::Error::InconsistentKeys(_)) {
                return Err(ServerError::new(
                    ServerErrorKind::Certificate,
                    format!("the certificate {chain} is of no kind that TLS uses"),
                )
                .because(error));
            }
            let matches = |certificate: &CertificateDer<'static>| {
                let alone = vec![certificate.clone()];
                CertifiedKey::new(alone, Arc::clone(&identity.key))
                    .keys_match()
                    .is_ok()
            };
            let advice = match identity.cert.iter().position(matches) {
                Some(index) => format!(
                    "it belongs to certificate number {} of that chain, and the server's own has to \
                     stand first",
                    index + 1
                ),
                None => "they come from different requests, or one of the two was renewed without \
                         the other"
                    .to_owned(),
            };
            return Err(ServerError::new(
                ServerErrorKind::Certificate,
                format!(
                    "the certificate {chain} does not belong to the private key {key}: {advice}"
                ),
            )
            .because(error));
        }
        warn_of_doubts(chain, &facts, SystemTime::now());
        Ok(Self {
            source: Source::Fixed(Arc::new(identity)),
            facts,
            chain: Some(chain.clone()),
        })
    }

    pub(super) fn development(leaf: Leaf) -> Self {
        Self {
            facts: leaf.facts(),
            source: Source::Development(Box::new(leaf)),
            chain: None,
        }
    }

    /// What the next client is shown.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        match &self.source {
            Source::Fixed(key) => Arc::clone(key),
            Source::Development(leaf) => leaf.current(),
        }
    }
}

/// What is odd about a certificate but no reason to stay down.
pub(super) fn warn_of_doubts(chain: &Pem, facts: &Facts, now: SystemTime) {
    let day = Duration::from_secs(24 * 60 * 60);
    if let Ok(since) = now.duration_since(facts.not_after) {
        warn!(
            certificate = %chain,
            days = since.as_secs() / day.as_secs(),
            "the certificate has expired, and clients refuse it: renew it, and it is taken into \
             use when its file has changed"
        );
    } else if facts.not_before > now {
        warn!(
            certificate = %chain,
            "the certificate is not valid yet, and clients will refuse it: check this machine's \
             clock"
        );
    } else if let Ok(left) = facts.not_after.duration_since(now)
        && left < notice(facts)
    {
        warn!(
            certificate = %chain,
            days = left.as_secs() / day.as_secs(),
            "the certificate expires soon: renew it"
        );
    }
    if facts.names().next().is_none() {
        warn!(
            certificate = %chain,
            "the certificate names no host (it has no subjectAltName), and no current client \
             accepts it"
        );
    }
}

/// How long before its end a certificate is worth a warning: a tenth of its life. Whoever renews
/// automatically does so with more time left, for certificates of six days as of ninety.
fn notice(facts: &Facts) -> Duration {
    let life = facts.not_after.duration_since(facts.not_before);
    (life.unwrap_or_default() / 10).min(LONGEST_NOTICE)
}

/// For certificates that people make to last for years.
const LONGEST_NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, Pem) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let key = Pem::bytes(made.signing_key.serialize_pem());
        (made.cert.pem(), key)
    }

    #[test]
    fn a_key_of_another_certificate_is_refused_with_the_likely_cause() {
        #[track_caller]
        fn refuses(chain: &str, key: &Pem, text: &str) {
            let error = Identity::load(&Pem::bytes(chain), key).unwrap_err();
            assert_eq!(error.kind(), ServerErrorKind::Certificate);
            assert!(error.to_string().contains(text), "{error}");
        }
        let (a, _) = pair("a.test");
        let (b, b_key) = pair("b.test");

        refuses(&a, &b_key, "does not belong to the private key");
        refuses(&a, &b_key, "renewed without the other");
        // The chain the wrong way round.
        refuses(&format!("{a}{b}"), &b_key, "certificate number 2");
    }

    #[test]
    fn a_certificate_that_is_noise_is_refused() {
        let (_, key) = pair("a.test");
        let noise = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = Identity::load(&Pem::bytes(noise), &key).unwrap_err();
        assert!(
            error.to_string().contains("not well-formed X.509"),
            "{error}"
        );
    }

    #[test]
    fn notice_is_a_tenth_of_the_life_and_two_weeks_at_most() {
        let day = Duration::from_secs(24 * 60 * 60);
        let check = |days, noticed| {
            let not_before = SystemTime::UNIX_EPOCH;
            let facts = Facts {
                dns: Vec::new(),
                addresses: Vec::new(),
                not_before,
                not_after: not_before + day * days,
            };
            assert_eq!(notice(&facts), noticed);
        };
        check(90, day * 9);
        check(5, day / 2);
        check(3650, day * 14);
    }
}
