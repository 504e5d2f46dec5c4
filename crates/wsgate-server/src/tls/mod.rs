//! TLS settings, and the rustls configuration made of them.

mod authority;
mod clients;
mod development;
mod identity;
mod names;
mod pem;
mod resolver;
mod store;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;

pub use self::development::DevelopmentCa;
pub use self::pem::Pem;
pub(crate) use self::resolver::{ORIGIN, Origin};

use self::clients::Clients;
use self::identity::Identity;
use self::resolver::Resolver;
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
/// Nothing is read before the server starts, so errors come from there.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The first is the default. Empty only beside a `config`.
    pairs: Vec<Pair>,
    config: Option<Arc<ServerConfig>>,
    http2: bool,
    clients: Option<Clients>,
    by: TlsBy,
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
}

// ===== impl Tls =====

impl Tls {
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
        }
    }

    /// Reads, checks and assembles everything. Blocks on files.
    pub(crate) fn load(mut self) -> Result<Loaded, ServerError> {
        match self.config.take() {
            Some(config) => self.adapt(config),
            None => self.assemble(),
        }
    }

    fn adapt(self, config: Arc<ServerConfig>) -> Result<Loaded, ServerError> {
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
        })
    }

    fn assemble(self) -> Result<Loaded, ServerError> {
        let provider = Arc::new(default_provider());
        let identities = self
            .pairs
            .iter()
            .map(Pair::load)
            .collect::<Result<_, _>>()?;
        let resolver = Resolver::new(identities);
        let names = resolver.names();

        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("aws-lc-rs supports the default versions");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(provider)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.protocols();
        Ok(Loaded {
            config: Arc::new(config),
            names,
            by: self.by,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn tls(chain: &str, key: &str) -> Tls {
        Tls::pem(Pem::bytes(chain), Pem::bytes(key))
    }

    fn own_config() -> Arc<ServerConfig> {
        let (chain, key) = pair("own.test");
        tls(&chain, &key).load().unwrap().config
    }

    #[track_caller]
    fn refuses(tls: Tls, kind: ServerErrorKind, text: &str) {
        let error = tls.load().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }

    #[test]
    fn the_order_of_protocols_is_http2_first() {
        let (chain, key) = pair("a.test");
        let both = tls(&chain, &key).load().unwrap().config;
        assert_eq!(both.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let narrow = tls(&chain, &key).without_http2().load().unwrap().config;
        assert_eq!(narrow.alpn_protocols, [b"http/1.1".to_vec()]);
    }

    #[test]
    fn an_own_config_gets_alpn_only_when_it_has_none() {
        let with = |protocols: &[&[u8]]| {
            let mut config = (*own_config()).clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Tls::config(Arc::new(config))
        };
        let alpn = |tls: Tls| tls.load().unwrap().config.alpn_protocols.clone();

        assert_eq!(alpn(with(&[])), [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(alpn(with(&[b"x"])), [b"x".to_vec()]);
        assert_eq!(alpn(with(&[b"h2", b"x"]).without_http2()), [b"x".to_vec()]);
    }

    #[test]
    fn early_data_is_refused() {
        let mut config = (*own_config()).clone();
        config.max_early_data_size = 1000;
        let loaded = Tls::config(Arc::new(config)).load().unwrap();
        assert_eq!(loaded.config.max_early_data_size, 0);
    }

    #[test]
    fn an_own_config_is_complete() {
        let (chain, key) = pair("a.test");
        let own = || Tls::config(own_config());
        let kind = ServerErrorKind::Configuration;

        refuses(
            own().and_pem(Pem::bytes(chain.as_str()), Pem::bytes(key)),
            kind,
            "no further certificates",
        );
        refuses(
            own().require_client_certificate(Pem::bytes(chain)),
            kind,
            "verifier",
        );
    }
}
