//! Signing: the development CA as read from its file, and the certificates that it signs.

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use rustls::crypto::aws_lc_rs::sign;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tracing::warn;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::tls::names::Facts;

/// A certificate for the loopback names that renews itself.
pub(super) struct Leaf {
    authority: Authority,
    current: Mutex<Issued>,
}

/// The CA as read from disk.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) certificate_pem: String,
    not_after: SystemTime,
}

struct Issued {
    key: Arc<CertifiedKey>,
    facts: Facts,
    renew_at: SystemTime,
}

// ===== impl Leaf =====

impl Leaf {
    /// Signs a first certificate.
    pub(super) fn new(authority: Authority, now: SystemTime) -> Result<Self, rcgen::Error> {
        let current = Mutex::new(authority.issue(now)?);
        Ok(Self { authority, current })
    }

    /// The certificate for the next client; a new one when it is time.
    pub(super) fn current(&self) -> Arc<CertifiedKey> {
        self.current_at(SystemTime::now())
    }

    pub(super) fn facts(&self) -> Facts {
        self.lock().facts.clone()
    }

    fn current_at(&self, now: SystemTime) -> Arc<CertifiedKey> {
        let mut current = self.lock();
        if now >= current.renew_at {
            match self.authority.issue(now) {
                Ok(issued) => *current = issued,
                Err(error) => {
                    // Not again at each client; the old one still has a day.
                    current.renew_at = now + Duration::from_secs(60 * 60);
                    warn!(%error, "cannot renew the development certificate");
                }
            }
        }
        Arc::clone(&current.key)
    }

    fn lock(&self) -> MutexGuard<'_, Issued> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf")
            .field("issuer", &self.authority.issuer)
            .finish_non_exhaustive()
    }
}

// ===== impl Authority =====

impl Authority {
    /// Takes the CA out of its file, or says what is wrong with it, to go after "the one there".
    pub(super) fn parse(text: &str, now: SystemTime) -> Result<Self, &'static str> {
        const DAMAGED: &str = "is damaged";
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| DAMAGED)?;
        let key = KeyPair::try_from(&key).map_err(|_| DAMAGED)?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| DAMAGED)?;
        let not_after = Facts::read(&certificate).map_err(|_| DAMAGED)?.not_after;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| DAMAGED)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err("has a key of another CA");
        }
        if now + CA_RENEWAL > not_after {
            return Err("has expired or is about to");
        }
        let certificate_pem = text
            .find("-----BEGIN CERTIFICATE-----")
            .map(|start| text[start..].to_owned())
            .ok_or(DAMAGED)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&certificate, key).map_err(|_| DAMAGED)?,
            certificate_pem,
            not_after,
        })
    }

    fn issue(&self, now: SystemTime) -> Result<Issued, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(NAMES.map(str::to_owned))?;
        params.distinguished_name.push(DnType::CommonName, NAMES[0]);
        let end = (now + LEAF_LIFE).min(self.not_after);
        set_validity(&mut params, now - CLOCK_SKEW, end);
        params.use_authority_key_identifier_extension = true;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;

        let facts =
            Facts::read(certificate.der()).map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        let signing =
            sign::any_ecdsa_type(&der.into()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        Ok(Issued {
            key: Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signing)),
            renew_at: facts.not_after - LEAF_RENEWAL,
            facts,
        })
    }
}

/// A new CA: its private key and its certificate as PEM.
pub(super) fn generate(now: SystemTime) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    set_validity(&mut params, now - CLOCK_SKEW, now + CA_LIFE);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName(NAMES[0].to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                Ipv6Addr::LOCALHOST.octets(),
                128,
            )),
        ],
        excluded_subtrees: Vec::new(),
    });
    // Clients confuse two CAs of one name, and a renewed CA would be such a second one.
    let identifier = params.key_identifier(&key);
    let mark: String = identifier
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("wsgate development CA {mark}"));
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

/// In whole seconds, which is what X.509 knows.
fn set_validity(params: &mut CertificateParams, from: SystemTime, to: SystemTime) {
    let seconds = |time: SystemTime| {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Duration::from_secs(since_epoch.as_secs())
    };
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(from);
    params.not_after = epoch + seconds(to);
}

/// What the certificates are for. The first is the common name.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// As long as other tools' development CAs: nobody wants to trust it anew each year, and name
/// constraints bound the damage.
pub(super) const CA_LIFE: Duration = Duration::from_secs(3650 * DAY);

/// Renewed so long before its end, at a start.
pub(super) const CA_RENEWAL: Duration = Duration::from_secs(30 * DAY);

/// Short, because nothing keeps it: a leaked one is soon worthless.
const LEAF_LIFE: Duration = Duration::from_secs(7 * DAY);

/// Renewed so long before its end, while the server runs.
const LEAF_RENEWAL: Duration = Duration::from_secs(DAY);

/// Virtual machines and phones are late.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);

const DAY: u64 = 24 * 60 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(now: SystemTime) -> Leaf {
        let authority = Authority::parse(&generate(now).unwrap(), now).unwrap();
        Leaf::new(authority, now).unwrap()
    }

    #[test]
    fn the_certificate_is_renewed_while_it_runs() {
        let now = SystemTime::now();
        let leaf = leaf(now);
        let first = leaf.current_at(now);
        let renewal = now + LEAF_LIFE - LEAF_RENEWAL;
        assert_eq!(leaf.current_at(renewal - CLOCK_SKEW).cert, first.cert);

        let renewed = leaf.current_at(renewal + CLOCK_SKEW);
        assert_ne!(renewed.cert, first.cert);
        renewed.keys_match().unwrap();
    }

    #[test]
    fn it_covers_the_loopback_names() {
        let facts = leaf(SystemTime::now()).facts();
        assert_eq!(facts.names().collect::<Vec<_>>(), NAMES);
    }
}
