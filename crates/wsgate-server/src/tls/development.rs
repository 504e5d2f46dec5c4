//! The CA for one's own machine: where it is kept, and how it is made and renewed there.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::{info, warn};
use wsgate_tls::loose_permissions;

use crate::error::{ServerError, ServerErrorKind};
use crate::tls::authority::{self, Authority, Leaf};
use crate::tls::{store, trust};

/// The small CA behind [`Tls::development`](crate::Tls::development).
///
/// It is made when it is first needed and kept between runs, so that a browser has to be told
/// only once. Two files: `ca.pem`, the certificate to be trusted, and `ca-key.pem`, the private
/// key, which only the user may read. When the CA nears its end after ten years, or its file is
/// damaged, a new one takes its place, with a warning: it has to be trusted anew.
///
/// A stolen key would do little: name constraints (RFC 5280 4.2.1.10) limit the CA to
/// `localhost` and the loopback addresses. The certificates that it signs live for a week, in
/// memory only, and are replaced while the server runs.
///
/// ```no_run
/// use wsgate_server::{DevelopmentCa, Tls};
///
/// let ca = DevelopmentCa::new()?;
/// println!("{}", ca.trust_instructions());
/// let tls = Tls::development_with(ca);
/// # Ok::<(), wsgate_server::ServerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentCa {
    directory: PathBuf,
}

// ===== impl DevelopmentCa =====

impl DevelopmentCa {
    /// The CA in the user's data directory: `$XDG_DATA_HOME` or `~/.local/share`,
    /// `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows; there in
    /// `wsgate/development-ca`.
    ///
    /// # Errors
    ///
    /// When the environment names no such directory, as in a bare container.
    pub fn new() -> Result<Self, ServerError> {
        let data = data_directory().ok_or_else(|| {
            ServerError::new(
                ServerErrorKind::DevelopmentCa,
                "there is no place to keep the development CA, because the environment names no \
                 home directory: set HOME or XDG_DATA_HOME",
            )
        })?;
        Ok(Self::in_directory(
            data.join("wsgate").join("development-ca"),
        ))
    }

    /// The CA in a directory of one's choice, which is made when it is missing.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The file with the CA's certificate. It exists once a server started with the CA, or
    /// [`pem`](Self::pem) was called.
    pub fn location(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// The CA's certificate, for a client that is to trust it. Makes the CA if there is none.
    /// Reads and writes files: not for the inside of an asynchronous task.
    ///
    /// # Errors
    ///
    /// When the CA's files cannot be read or written.
    pub fn pem(&self) -> Result<String, ServerError> {
        Ok(self.authority(SystemTime::now())?.certificate_pem)
    }

    /// The command that makes the browsers most people use on this system trust the certificate,
    /// for a program that has one line to spare. [`trust_instructions`](Self::trust_instructions)
    /// tells of the other ways.
    pub fn trust_command(&self) -> String {
        trust::browser_command(&self.location())
    }

    /// How to make curl, Node.js, Python, the browsers and the operating systems trust the CA,
    /// as text for a terminal.
    pub fn trust_instructions(&self) -> String {
        trust::instructions(&self.location())
    }

    /// Signs a first certificate.
    pub(super) fn issue(&self) -> Result<Leaf, ServerError> {
        let now = SystemTime::now();
        let authority = self.authority(now)?;
        Leaf::new(authority, now).map_err(|error| {
            self.error("cannot sign a certificate with the development CA")
                .because(error)
        })
    }

    /// Reads the CA, or makes it.
    fn authority(&self, now: SystemTime) -> Result<Authority, ServerError> {
        let read = || {
            store::read(&self.key_file()).map_err(|error| {
                let what = format!("cannot read the development CA's {KEY_FILE}");
                self.error(&what).because(error)
            })
        };
        let kept = match read()? {
            None => {
                self.create(now, store::Existing::Keep)?;
                info!(
                    certificate = %self.location().display(),
                    "made a development CA: clients have to be told once to trust it"
                );
                None
            }
            Some(text) => match Authority::parse(&text, now) {
                Ok(authority) => {
                    if let Some(loose) = loose_permissions(&self.key_file()) {
                        warn!("{loose}");
                    }
                    Some(authority)
                }
                Err(why) => {
                    self.create(now, store::Existing::Replace)?;
                    warn!(
                        certificate = %self.location().display(),
                        "made a new development CA, because the one there {why}: clients have to \
                         be told again to trust it"
                    );
                    None
                }
            },
        };
        let authority = match kept {
            Some(authority) => authority,
            // Another process may have been faster: what counts is what is on disk.
            None => {
                let text = read()?.unwrap_or_default();
                Authority::parse(&text, now)
                    .map_err(|why| self.error(&format!("the development CA just made {why}")))?
            }
        };
        store::update(&self.location(), &authority.certificate_pem)
            .map_err(|error| unwritten(&self.location(), error))?;
        Ok(authority)
    }

    fn create(&self, now: SystemTime, existing: store::Existing) -> Result<(), ServerError> {
        let text = authority::generate(now)
            .map_err(|error| self.error("cannot make a development CA").because(error))?;
        store::publish(&self.key_file(), &text, existing)
            .map_err(|error| unwritten(&self.key_file(), error))
    }

    /// Private key and certificate in one file, so that they change together.
    fn key_file(&self) -> PathBuf {
        self.directory.join(KEY_FILE)
    }

    fn error(&self, what: &str) -> ServerError {
        ServerError::new(
            ServerErrorKind::DevelopmentCa,
            format!("{what} in {}", self.directory.display()),
        )
    }
}

/// A file of the CA cannot be made. What was there before is there still.
fn unwritten(file: &Path, error: io::Error) -> ServerError {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": there is no room left on its disk"
        }
        _ => "",
    };
    let file = file.display();
    ServerError::new(
        ServerErrorKind::DevelopmentCa,
        format!("cannot keep the development CA in {file}{advice}"),
    )
    .because(error)
}

/// Where this platform keeps a user's data.
fn data_directory() -> Option<PathBuf> {
    let variable = |name| env::var_os(name).map(PathBuf::from);
    let home = |inside: &Path| env::home_dir().map(|home| home.join(inside));
    let directory = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home(Path::new("Library/Application Support"))
    } else {
        // The XDG base directory specification has relative paths ignored.
        variable("XDG_DATA_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| home(Path::new(".local/share")))
    };
    directory.filter(|path| path.is_absolute())
}

const KEY_FILE: &str = "ca-key.pem";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tls::authority::{CA_LIFE, CA_RENEWAL, CLOCK_SKEW};

    fn temporary() -> (tempfile::TempDir, DevelopmentCa) {
        let directory = tempfile::tempdir().unwrap();
        let ca = DevelopmentCa::in_directory(directory.path().join("ca"));
        (directory, ca)
    }

    #[test]
    fn is_kept_and_its_certificate_is_put_back() {
        let (_directory, ca) = temporary();
        let first = ca.pem().unwrap();
        assert_eq!(fs::read_to_string(ca.location()).unwrap(), first);

        fs::remove_file(ca.location()).unwrap();
        assert_eq!(ca.pem().unwrap(), first);
        assert_eq!(fs::read_to_string(ca.location()).unwrap(), first);
    }

    #[test]
    fn is_replaced_when_damaged() {
        let (_directory, ca) = temporary();
        let first = ca.pem().unwrap();
        let other = authority::generate(SystemTime::now()).unwrap();
        let kept = fs::read_to_string(ca.key_file()).unwrap();
        let (own_key, _) = kept.split_once("-----BEGIN CERTIFICATE-----").unwrap();
        let (_, other_certificate) = other.split_once("-----BEGIN CERTIFICATE-----").unwrap();
        let mixed = format!("{own_key}-----BEGIN CERTIFICATE-----{other_certificate}");

        for damaged in ["", "\u{fffd}", &kept[..kept.len() / 2], own_key, &mixed] {
            fs::write(ca.key_file(), damaged).unwrap();
            let renewed = ca.pem().unwrap();
            assert_ne!(renewed, first);
            assert_eq!(ca.pem().unwrap(), renewed);
        }
    }

    #[test]
    fn is_replaced_near_its_end() {
        let (_directory, ca) = temporary();
        let now = SystemTime::now();
        let first = ca.authority(now).unwrap().certificate_pem;
        let late = now + CA_LIFE - CA_RENEWAL;
        assert_eq!(
            ca.authority(late - CLOCK_SKEW).unwrap().certificate_pem,
            first
        );
        assert_ne!(
            ca.authority(late + CLOCK_SKEW).unwrap().certificate_pem,
            first
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();

        let error = DevelopmentCa::in_directory(file.join("ca"))
            .pem()
            .unwrap_err();

        assert_eq!(error.kind(), ServerErrorKind::DevelopmentCa);
        assert!(
            error.to_string().contains(file.to_str().unwrap()),
            "{error}"
        );
    }
}
