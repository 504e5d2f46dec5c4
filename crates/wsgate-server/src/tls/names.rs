//! What a certificate says about itself: the names it covers and the time it is good for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::nom;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// The subject alternative names and the validity of a certificate.
///
/// The common name is not looked at: no current client does (RFC 9525 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// In lower case; a wildcard as `*.example.com`.
    pub(super) dns: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

// ===== impl Facts =====

impl Facts {
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Result<Self, nom::Err<X509Error>> {
        let (_, certificate) = X509Certificate::from_der(certificate)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(nom::Err::Error)?
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();

        let mut facts = Self {
            dns: Vec::new(),
            addresses: Vec::new(),
            not_before: time(certificate.validity().not_before),
            not_after: time(certificate.validity().not_after),
        };
        for name in names {
            match name {
                GeneralName::DNSName(name) => facts.dns.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(octets) => facts.addresses.extend(address(octets)),
                _ => {}
            }
        }
        Ok(facts)
    }

    /// All names and addresses as text.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        self.dns.iter().cloned().chain(addresses)
    }
}

/// A list for a log line: the first few names, and how many more there are.
pub(super) fn summary(names: &[String]) -> String {
    match names {
        [] => "no name at all".to_owned(),
        names if names.len() <= SHOWN => names.join(", "),
        names => format!(
            "{} and {} more",
            names[..SHOWN].join(", "),
            names.len() - SHOWN
        ),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(octets).ok()?;
    Some(Ipv6Addr::from(octets).into())
}

fn time(time: ASN1Time) -> SystemTime {
    match u64::try_from(time.timestamp()) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds),
        Err(_) => UNIX_EPOCH,
    }
}

/// A certificate may carry a hundred names; a log line should not.
const SHOWN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_addresses_and_validity() {
        let names = ["Example.com", "*.example.com", "127.0.0.1", "::1"].map(str::to_owned);
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2001, 9, 9);
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();

        let facts = Facts::read(params.self_signed(&key).unwrap().der()).unwrap();

        assert_eq!(facts.dns, ["example.com", "*.example.com"]);
        assert_eq!(
            facts.addresses,
            ["127.0.0.1", "::1"].map(|ip| ip.parse::<IpAddr>().unwrap())
        );
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(facts.not_before, UNIX_EPOCH + day * 11_574);
        assert_eq!(facts.not_after, UNIX_EPOCH + day * 47_482);
    }

    #[test]
    fn noise_is_no_certificate() {
        assert!(Facts::read(&CertificateDer::from(vec![0x30, 0x03, 1, 1, 1])).is_err());
        assert!(Facts::read(&CertificateDer::from(Vec::new())).is_err());
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<_> = (0..11).map(|n| format!("{n}.test")).collect();
        assert_eq!(summary(&names[..2]), "0.test, 1.test");
        assert!(summary(&names).ends_with("7.test and 3 more"));
        assert_eq!(summary(&[]), "no name at all");
    }
}
