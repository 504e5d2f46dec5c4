//! TLS settings, and the rustls configuration made of them.

mod authority;
mod clients;
mod development;
mod identity;
mod live;
mod names;
mod pem;
mod resolver;
mod store;
#[cfg(test)]
mod tests;
mod tickets;
mod trust;

use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;

pub use self::development::DevelopmentCa;
pub(crate) use self::live::Live;
pub use self::pem::Pem;
pub(crate) use self::resolver::{ORIGIN, Origin};

use self::clients::Clients;
use self::identity::Identity;
use self::names::Facts;
use self::resolver::Resolver;
use self::tickets::Tickets;
use crate::error::{ServerError, ServerErrorKind};

/// Certificates, and how clients are met with them.
///
/// ```no_run
/// use wsgate_server::{Pem, Tls};
///
/// // One certificate, or several chosen by the name that the client asks for (SNI).
/// let tls = Tls::pem_files("example.com.pem", "example.com.key")
///     .and_pem_files("example.org.pem", "example.org.key");
///
/// // The same from memory, and only for clients that bring a certificate of their own.
/// # let (chain, key, ca) = ("", "", "");
/// let tls = Tls::pem(Pem::bytes(chain), Pem::bytes(key))
///     .require_client_certificate(Pem::bytes(ca));
///
/// // For work on one's own machine.
/// let tls = Tls::development();
/// ```
///
/// # Which certificate a client gets
///
/// The one that names the host the client asks for, else one with a matching wildcard
/// (`*.example.com` covers `a.example.com`, not `a.b.example.com`). A client that came by IP
/// address asks for no name: it gets the certificate that covers the address, if one does. All
/// others get the **first** certificate, as with nginx's default server; they will not accept
/// it, and the log says which names they should have used.
///
/// # Protocols
///
/// TLS 1.2 and 1.3 with rustls' cipher suites, made by aws-lc-rs; no process-wide provider has
/// to be installed. ALPN offers HTTP/2 and HTTP/1.1.
///
/// Clients resume sessions by tickets (RFC 5077, RFC 8446 4.6.1), whose keys change every 6 hours;
/// no ticket is good for more than 12. There is no early data (0-RTT).
///
/// # Reading them anew
///
/// Nothing is read before the server starts, so errors come from there. While it runs, it looks at the
/// files [every 30 s](Self::DEFAULT_WATCH_INTERVAL), and takes what has changed into use; a program can ask
/// for it by a [`Reloader`](crate::Reloader) or with
/// [SIGHUP](crate::Server::reload_on_hangup). It is all or nothing: where a file cannot be read, or a key
/// does not belong to its certificate, the old ones stay in use and an error is logged. Open
/// connections go on as they are. When what clients are [held to](Self::require_client_certificate) has
/// changed, all session tickets from before are void, since who resumes a session shows no
/// certificate again.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The first is the default. Empty only beside a `config`.
    pairs: Vec<Pair>,
    config: Option<Arc<ServerConfig>>,
    http2: bool,
    clients: Option<Clients>,
    by: TlsBy,
    /// How often the files are looked at; `None` for never.
    pub(crate) watch: Option<Duration>,
}

/// Whose stream carries the connections.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TlsBy {
    /// [`crate::TlsStream`].
    TlsStream,
    TokioRustls,
}

#[derive(Clone, Debug)]
enum Pair {
    Pem {
        chain: Pem,
        key: Pem,
    },
    /// `None`: the CA in the user's data directory, looked for when the server starts.
    Development(Option<DevelopmentCa>),
}

/// What the server needs of a checked [`Tls`].
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    /// Empty for a configuration of the user's own.
    pub(crate) names: Arc<[String]>,
    pub(crate) by: TlsBy,
    /// When the first of the certificates expires. `None` where that is not ours to know.
    expires: Option<SystemTime>,
    /// What was read, to be warned of again.
    read: Vec<(Pem, Facts)>,
    /// `None` for a configuration of the user's own.
    tickets: Option<Tickets>,
}

// ===== impl Tls =====

impl Tls {
    /// How often files are [looked at](Self::watch_every) by default: every 30 s. Who renews certificates
    /// does so weeks or days before they expire; and reading a few files costs nothing at that rate.
    pub const DEFAULT_WATCH_INTERVAL: Duration = Duration::from_secs(30);

    /// A certificate chain and its private key, as PEM files. The server's own certificate
    /// stands first in the chain, its issuers behind it (Let's Encrypt's `fullchain.pem`).
    pub fn pem_files(chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::pem(Pem::file(chain), Pem::file(key))
    }

    /// Another pair, for the names that it covers.
    #[must_use]
    pub fn and_pem_files(self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.and_pem(Pem::file(chain), Pem::file(key))
    }

    /// A certificate chain and its private key, as PEM from wherever it comes.
    pub fn pem(chain: Pem, key: Pem) -> Self {
        Self::new(vec![Pair::Pem { chain, key }], None)
    }

    /// Another pair, for the names that it covers.
    ///
    /// Not for [`Tls::config`], which has a certificate resolver of its own: the server would
    /// refuse to start.
    #[must_use]
    pub fn and_pem(mut self, chain: Pem, key: Pem) -> Self {
        self.pairs.push(Pair::Pem { chain, key });
        self
    }

    /// A certificate for `localhost`, 127.0.0.1 and ::1, made on the spot.
    ///
    /// It is signed by a small CA that is kept in the user's data directory, so that a browser
    /// has to be told once. See [`DevelopmentCa`] for where it is and how to trust it.
    pub fn development() -> Self {
        Self::new(vec![Pair::Development(None)], None)
    }

    /// The same with a CA of one's choice.
    pub fn development_with(ca: DevelopmentCa) -> Self {
        Self::new(vec![Pair::Development(Some(ca))], None)
    }

    /// A rustls configuration of one's own, as it is, but for two things. ALPN: when it names no
    /// protocol it gets HTTP/2 and HTTP/1.1, without which rustls would speak HTTP/1.1 only. Early
    /// data (0-RTT) is refused, and clients send it again after the handshake.
    ///
    /// The server cannot know the names that it covers, so it logs none.
    pub fn config(config: Arc<ServerConfig>) -> Self {
        Self::new(Vec::new(), Some(config))
    }

    /// Offers HTTP/1.1 only.
    ///
    /// For a client or a tool that does not get along with HTTP/2. WebSockets work over both;
    /// over HTTP/2 (RFC 8441) they share one connection.
    #[must_use]
    pub fn without_http2(mut self) -> Self {
        self.http2 = false;
        self
    }

    /// Turns away clients that bring no certificate signed by one of these CAs.
    ///
    /// Handlers find the client's certificates in [`TlsInfo`](crate::TlsInfo).
    #[must_use]
    pub fn require_client_certificate(mut self, ca: Pem) -> Self {
        self.clients = Some(Clients { ca, required: true });
        self
    }

    /// Asks clients for a certificate and checks the one that comes, but lets in those that have
    /// none; a handler tells them apart by [`TlsInfo`](crate::TlsInfo).
    #[must_use]
    pub fn allow_client_certificate(mut self, ca: Pem) -> Self {
        self.clients = Some(Clients {
            ca,
            required: false,
        });
        self
    }

    /// How often the files are looked at for changes, which are then taken into use. Default: [every
    /// 30 s](Self::DEFAULT_WATCH_INTERVAL).
    ///
    /// What counts is what is in them, compared whole: a date can stay the same when the content does not,
    /// and a notification is not to be had from every file system, nor for links that change, as those of
    /// certbot and of Kubernetes. It counts when it was the same twice within 100 ms. A file that was
    /// caught half-written, or a certificate whose key is still the old one, costs a log line and
    /// nothing else: the next look finds the rest.
    #[must_use]
    pub fn watch_every(mut self, interval: Duration) -> Self {
        // A timer takes no zero, and a thousand looks a second are enough.
        self.watch = Some(interval.max(Duration::from_millis(1)));
        self
    }

    /// Does not look at the files again, unless it is [asked to](crate::Reloader).
    #[must_use]
    pub fn without_watching(mut self) -> Self {
        self.watch = None;
        self
    }

    /// Lets tokio-rustls carry the connections, in place of [`TlsStream`](crate::TlsStream).
    ///
    /// For handlers that look for its type inside hyper's `Upgraded`, and to find out whether a
    /// fault is [`TlsStream`](crate::TlsStream)'s. To other handlers nothing is different, but an
    /// idle connection takes some 4 KiB more.
    #[must_use]
    pub fn with_tokio_rustls(mut self) -> Self {
        self.by = TlsBy::TokioRustls;
        self
    }

    fn new(pairs: Vec<Pair>, config: Option<Arc<ServerConfig>>) -> Self {
        Self {
            pairs,
            config,
            http2: true,
            clients: None,
            by: TlsBy::TlsStream,
            watch: Some(Self::DEFAULT_WATCH_INTERVAL),
        }
    }

    /// Whether there is anything that could be another thing when it is read again.
    pub(crate) const fn is_own_config(&self) -> bool {
        self.config.is_some()
    }

    /// Reads, checks and assembles everything. Blocks on files.
    pub(crate) fn load(&self) -> Result<Loaded, ServerError> {
        self.load_after(None)
    }

    /// The same for a server that has given out tickets.
    fn load_after(&self, tickets: Option<&Tickets>) -> Result<Loaded, ServerError> {
        match &self.config {
            Some(config) => self.adapt(Arc::clone(config)),
            None => self.assemble(tickets),
        }
    }

    /// Takes note of what is in the files. Blocks on them.
    fn note(&self, state: &mut impl Hasher) {
        for pair in &self.pairs {
            if let Pair::Pem { chain, key } = pair {
                chain.note(state);
                key.note(state);
            }
        }
        if let Some(clients) = &self.clients {
            clients.ca.note(state);
        }
    }

    fn adapt(&self, config: Arc<ServerConfig>) -> Result<Loaded, ServerError> {
        let refuse = |what| Err(ServerError::new(ServerErrorKind::Configuration, what));
        if !self.pairs.is_empty() {
            return refuse(
                "a ServerConfig of one's own takes no further certificates: add them to its \
                 resolver",
            );
        }
        if self.clients.is_some() {
            return refuse(
                "a ServerConfig of one's own takes no client CA: set the verifier when building it",
            );
        }
        let mut config = Arc::unwrap_or_clone(config);
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = self.protocols();
        } else if !self.http2 {
            config.alpn_protocols.retain(|name| name != ALPN_HTTP2);
        }
        // Nothing here could tell a handler that its request may be somebody's replay of one
        // (RFC 8470), so clients have to send theirs after the handshake.
        config.max_early_data_size = 0;
        Ok(Loaded {
            config: Arc::new(config),
            names: Arc::new([]),
            by: self.by,
            expires: None,
            read: Vec::new(),
            tickets: None,
        })
    }

    fn assemble(&self, before: Option<&Tickets>) -> Result<Loaded, ServerError> {
        let provider = Arc::new(default_provider());
        let identities = self
            .pairs
            .iter()
            .map(Pair::load)
            .collect::<Result<Vec<_>, _>>()?;
        let expires = identities.iter().map(|one| one.facts.not_after).min();
        let read = identities
            .iter()
            .filter_map(|one| Some((one.chain.clone()?, one.facts.clone())))
            .collect();
        let resolver = Resolver::new(identities);
        let names = resolver.names();

        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs supports the default versions");
        let (builder, check) = match &self.clients {
            None => (builder.with_no_client_auth(), None),
            Some(clients) => {
                let (check, verifier) = clients.read(provider)?;
                (builder.with_client_cert_verifier(verifier), Some(check))
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.protocols();
        let tickets = Tickets::following(before, check)?;
        tickets.install(&mut config);
        Ok(Loaded {
            config: Arc::new(config),
            names,
            by: self.by,
            expires,
            read,
            tickets: Some(tickets),
        })
    }

    /// In the order of preference.
    fn protocols(&self) -> Vec<Vec<u8>> {
        let http2 = self.http2.then_some(ALPN_HTTP2);
        http2
            .into_iter()
            .chain([ALPN_HTTP1])
            .map(<[u8]>::to_vec)
            .collect()
    }
}

// ===== impl Pair =====

impl Pair {
    fn load(&self) -> Result<Identity, ServerError> {
        match self {
            Self::Pem { chain, key } => Identity::load(chain, key),
            Self::Development(ca) => {
                let ca = ca.clone().map_or_else(DevelopmentCa::new, Ok)?;
                ca.issue().map(Identity::development)
            }
        }
    }
}

const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";
