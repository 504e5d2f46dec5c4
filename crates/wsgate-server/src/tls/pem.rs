//! Certificates and keys from PEM, with errors that say what to do.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{PemObject, SectionKind};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::warn;
use wsgate_tls::loose_permissions;

use crate::error::{ServerError, ServerErrorKind};

/// PEM text: a file, read when the server starts and when it [reloads](crate::Reloader), or bytes at hand.
#[derive(Clone)]
pub struct Pem {
    source: Source,
}

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// What a PEM was expected to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Certificate,
    Key,
}

// ===== impl Pem =====

impl Pem {
    /// A file. One with a private key should be its owner's alone, see
    /// [`loose_permissions`]; else the log says so.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            source: Source::File(path.into()),
        }
    }

    /// Bytes at hand, from a secret store say.
    pub fn bytes(pem: impl Into<Vec<u8>>) -> Self {
        Self {
            source: Source::Memory(pem.into()),
        }
    }

    /// All certificates, in the order in which they stand. Keys beside them are passed over, so
    /// a file with both can be given for both.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, ServerError> {
        let text = self.read(Wanted::Certificate)?;
        let sections = self.sections(&text, Wanted::Certificate)?;
        let holds_key = sections.iter().any(|(kind, _)| is_key(*kind));
        let certificates: Vec<_> = sections
            .into_iter()
            .filter(|(kind, _)| *kind == SectionKind::Certificate)
            .map(|(_, der)| CertificateDer::from(der))
            .collect();
        if certificates.is_empty() {
            let why = if holds_key {
                "holds a private key where the certificate belongs: are the two in each other's \
                 place?"
            } else {
                "holds no CERTIFICATE section: give the PEM file with the full chain"
            };
            return Err(self.error(Wanted::Certificate, why));
        }
        Ok(certificates)
    }

    /// The first private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, ServerError> {
        // Read once: it may be a pipe.
        let text = self.read(Wanted::Key)?;
        let sections = self.sections(&text, Wanted::Key)?;
        let holds_certificate = sections
            .iter()
            .any(|(kind, _)| *kind == SectionKind::Certificate);
        let key = sections
            .into_iter()
            .find(|(kind, _)| is_key(*kind))
            .and_then(|(kind, der)| PrivateKeyDer::from_pem(kind, der));
        // The older form has an ordinary label and says it in a header of the section.
        let encrypted = [&b"ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"]
            .iter()
            .any(|mark| text.windows(mark.len()).any(|window| window == *mark));
        match key {
            Some(key) if !encrypted => Ok(key),
            _ if encrypted => Err(self.error(
                Wanted::Key,
                "is encrypted: remove the passphrase with `openssl pkey -in <file> -out <new \
                 file>` and guard the new file by its permissions",
            )),
            _ if holds_certificate => Err(self.error(
                Wanted::Key,
                "holds a certificate where the private key belongs: are the two in each other's \
                 place?",
            )),
            _ => Err(self.error(Wanted::Key, "holds no PRIVATE KEY section")),
        }
    }

    /// Says so if it is a file that others may read. For those that hold a private key.
    pub(super) fn warn_if_loose(&self) {
        if let Source::File(path) = &self.source
            && let Some(loose) = loose_permissions(path)
        {
            warn!("{loose}");
        }
    }

    /// Takes note of what is in the file, to find out whether it has changed; of why it cannot be read
    /// as well. Bytes at hand stay the same, and a pipe cannot be read again.
    pub(super) fn note(&self, state: &mut impl Hasher) {
        let Source::File(path) = &self.source else {
            return;
        };
        let read = || match std::fs::metadata(path)?.is_file() {
            true => std::fs::read(path),
            false => Ok(Vec::new()),
        };
        read().map_err(|error| error.kind()).hash(state);
    }

    /// An error about this PEM: `cannot use the certificate file a.pem: it <why>`.
    fn error(&self, wanted: Wanted, why: &str) -> ServerError {
        ServerError::new(wanted.kind(), format!("the {wanted} {self} {why}"))
    }

    fn sections(
        &self,
        text: &[u8],
        wanted: Wanted,
    ) -> Result<Vec<(SectionKind, Vec<u8>)>, ServerError> {
        if text.trim_ascii().is_empty() {
            return Err(self.error(wanted, "is empty"));
        }
        if text.first() == Some(&DER_SEQUENCE) {
            let tool = match wanted {
                Wanted::Certificate => "x509",
                Wanted::Key => "pkey",
            };
            return Err(self.error(
                wanted,
                &format!(
                    "is not PEM but DER: convert it with `openssl {tool} -inform der -in <file> \
                     -out <new file>`"
                ),
            ));
        }
        <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|error| {
                self.error(
                    wanted,
                    "is not well-formed PEM: was it cut short or edited?",
                )
                .because(error)
            })
    }

    fn read(&self, wanted: Wanted) -> Result<Cow<'_, [u8]>, ServerError> {
        match &self.source {
            Source::Memory(pem) => Ok(Cow::Borrowed(pem)),
            Source::File(path) => std::fs::read(path)
                .map(Cow::Owned)
                .map_err(|error| unreadable(wanted, path, error)),
        }
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Memory(_) => f.write_str("given in memory"),
        }
    }
}

impl fmt::Debug for Pem {
    /// Never shows the bytes: they may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File(path) => f.debug_tuple("Pem").field(path).finish(),
            Source::Memory(pem) => write!(f, "Pem({} bytes)", pem.len()),
        }
    }
}

// ===== impl Wanted =====

impl Wanted {
    fn kind(self) -> ServerErrorKind {
        match self {
            Self::Certificate => ServerErrorKind::Certificate,
            Self::Key => ServerErrorKind::Key,
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        })
    }
}

fn is_key(kind: SectionKind) -> bool {
    matches!(
        kind,
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
    )
}

fn unreadable(wanted: Wanted, path: &Path, error: io::Error) -> ServerError {
    let advice = match error.kind() {
        io::ErrorKind::NotFound if path.is_relative() => match std::env::current_dir() {
            Ok(directory) => format!("there is no such file in {}", directory.display()),
            Err(_) => "there is no such file".to_owned(),
        },
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this program's user may not read it: change the owner or the group of the file"
                .to_owned()
        }
        _ => "the operating system refuses it".to_owned(),
    };
    ServerError::new(
        wanted.kind(),
        format!("cannot read the {wanted} file {}: {advice}", path.display()),
    )
    .because(error)
}

/// ASN.1's SEQUENCE tag, with which every DER certificate and key begins.
const DER_SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[track_caller]
    fn refuses<T>(result: Result<T, ServerError>, kind: ServerErrorKind, text: &str) {
        let error = result.err().expect("an error");
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn one_file_may_hold_both() {
        let (certificate, key) = pair();
        let both = Pem::bytes(format!("{key}\n{certificate}\n{certificate}"));
        assert_eq!(both.certificates().unwrap().len(), 2);
        both.private_key().unwrap();
    }

    #[test]
    fn a_certificate_that_is_none_is_explained() {
        let (certificate, key) = pair();
        let check = |pem: &[u8], text| {
            refuses(
                Pem::bytes(pem).certificates(),
                ServerErrorKind::Certificate,
                text,
            );
        };
        check(b"", "is empty");
        check(b" \n", "is empty");
        check(b"hello", "no CERTIFICATE section");
        check(b"\x30\x82\x01\x01", "openssl x509 -inform der");
        check(key.as_bytes(), "in each other's place");
        check(
            &certificate.as_bytes()[..certificate.len() - 30],
            "cut short",
        );
    }

    #[test]
    fn a_key_that_is_none_is_explained() {
        let (certificate, _) = pair();
        let check = |pem: &[u8], text| {
            refuses(Pem::bytes(pem).private_key(), ServerErrorKind::Key, text);
        };
        check(b"", "is empty");
        check(b"hello", "no PRIVATE KEY section");
        check(certificate.as_bytes(), "in each other's place");
        check(
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "openssl pkey",
        );
    }

    #[test]
    fn a_missing_file_is_named_with_the_place_looked_in() {
        let missing = Pem::file("no/such.pem");
        let here = std::env::current_dir().unwrap();
        for text in ["no/such.pem", here.to_str().unwrap()] {
            refuses(missing.certificates(), ServerErrorKind::Certificate, text);
            refuses(missing.private_key(), ServerErrorKind::Key, text);
        }
    }

    #[test]
    fn bytes_are_not_shown() {
        let shown = format!("{:?}", Pem::bytes("secret"));
        assert_eq!(shown, "Pem(6 bytes)");
    }
}
