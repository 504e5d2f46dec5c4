//! Who is compared, and how each is started: always with its own configuration file or program, from
//! `tests/compare/peers`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::program::{End, Launch};
use super::results::PeerInfo;
use super::scenarios::{Kind, Scenario};

/// Somebody who is compared.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) flavour: Flavour,
    /// Built by somebody else already, in place of the one that we would build or install.
    pub(crate) program: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Nginx,
    Nginx64k,
    NginxDebian,
    Haproxy,
    Caddy,
    Envoy,
    AxumReverseProxy,
    Pingora,
    Wsgate,
    WsgateLayers,
    Mounted,
    MountedLayers,
    /// No proxy at all: bytes passed on between two TCP connections, without TLS.
    Floor,
}

/// Where things are while a peer runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// With the certificate, and made for this run.
    pub(crate) dir: &'a Path,
    /// The folder of the peers' configurations.
    pub(crate) configs: &'a Path,
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: SocketAddr,
}

/// All peers, in the order of the report.
pub(crate) fn all() -> Vec<Peer> {
    let peer = |(name, title, flavour): &(&str, &str, Flavour)| Peer {
        name: (*name).to_owned(),
        title: (*title).to_owned(),
        flavour: *flavour,
        program: None,
    };
    PEERS.iter().map(peer).collect()
}

const PEERS: &[(&str, &str, Flavour)] = &[
    (BASELINE, "nginx", Flavour::Nginx),
    ("nginx-64k", "nginx, 64 KiB buffers", Flavour::Nginx64k),
    ("nginx-debian", "nginx of Debian", Flavour::NginxDebian),
    ("haproxy", "HAProxy", Flavour::Haproxy),
    ("envoy", "Envoy", Flavour::Envoy),
    ("caddy", "Caddy", Flavour::Caddy),
    ("pingora", "pingora", Flavour::Pingora),
    (
        "axum-reverse-proxy",
        "axum-reverse-proxy",
        Flavour::AxumReverseProxy,
    ),
    ("wsgate", "wsgate", Flavour::Wsgate),
    ("mounted", "wsgate in an axum app", Flavour::Mounted),
    (
        "wsgate-layers",
        "wsgate, three layers on",
        Flavour::WsgateLayers,
    ),
    (
        "mounted-layers",
        "in an axum app, three layers on",
        Flavour::MountedLayers,
    ),
    ("floor", "bare TCP pipe, no TLS", Flavour::Floor),
];

/// Whom all ratios are to.
pub(crate) const BASELINE: &str = "nginx";

/// In configuration files, in place of where the peer is to listen and where its upstream is.
const LISTEN: &str = "8443";
const UPSTREAM: &str = "9000";

// ===== impl Peer =====

impl Peer {
    /// Another build of our gateway: `label=PATH`, or a path whose last part is the label.
    pub(crate) fn build_of_ours(text: &str) -> Result<Self, String> {
        let (label, path) = match text.split_once('=') {
            Some((label, path)) => (label, Path::new(path)),
            None => (text.rsplit('/').next().unwrap_or(text), Path::new(text)),
        };
        let path = path
            .canonicalize()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            name: label.to_owned(),
            title: label.to_owned(),
            flavour: Flavour::Wsgate,
            program: Some(path),
        })
    }

    pub(crate) fn info(&self, version: String) -> PeerInfo {
        let of = |flavour| {
            let base = PEERS.iter().find(|peer| peer.2 == flavour);
            base.map(|(name, ..)| (*name).to_owned())
        };
        let no_http2 = match self.flavour {
            Flavour::Nginx | Flavour::Nginx64k | Flavour::NginxDebian => {
                Some("with `http2 on` it does not offer extended CONNECT")
            }
            Flavour::Pingora => Some("its HTTP/2 server does not offer extended CONNECT"),
            Flavour::AxumReverseProxy => Some("it answers an extended CONNECT with 501"),
            _ => None,
        };
        let variant_of = match self.flavour {
            Flavour::WsgateLayers => of(Flavour::Wsgate),
            Flavour::MountedLayers => of(Flavour::Mounted),
            _ => None,
        };
        PeerInfo {
            name: self.name.clone(),
            title: self.title.clone(),
            version,
            config: format!("tests/compare/peers/{}", self.flavour.config()),
            ours: self.flavour.is_ours(),
            floor: self.flavour == Flavour::Floor,
            variant_of,
            no_http2: no_http2.map(str::to_owned),
        }
    }

    /// Whether the scenario tells something about this peer.
    pub(crate) fn plays(&self, scenario: &Scenario) -> bool {
        if scenario.http2.is_some() && self.info(String::new()).no_http2.is_some() {
            return false;
        }
        match self.flavour {
            // There to show what of nginx's figures is the build's doing.
            Flavour::NginxDebian => !matches!(scenario.name, "fanout" | "echo-4k"),
            // There to be held against themselves without the layers.
            Flavour::WsgateLayers | Flavour::MountedLayers => {
                scenario.kind != Kind::Syscalls && LAYERED.contains(&scenario.name)
            }
            // There to tell what the kernel takes for the same messages.
            Flavour::Floor => {
                scenario.http2.is_none()
                    && scenario.kind != Kind::Memory
                    && !scenario.name.starts_with("handshakes")
            }
            _ => true,
        }
    }

    /// How to start it at this site; writes its configuration there, with the site's addresses in it.
    pub(crate) fn launch(&self, program: &Path, site: Site<'_>) -> Result<Launch> {
        let mut launch = Launch::new(&self.name, program, site.dir);
        let flavour = self.flavour;
        match flavour {
            Flavour::Nginx | Flavour::Nginx64k | Flavour::NginxDebian => {
                let config = site.write(flavour.config())?;
                launch = launch.args(["-p", ".", "-e", "stderr", "-c", &config]);
                // Killed, it would leave its workers behind.
                launch.end = End::Terminate;
            }
            Flavour::Haproxy => launch = launch.args(["-f", &site.write(flavour.config())?]),
            Flavour::Caddy => {
                let config = site.write(flavour.config())?;
                launch = launch.args(["run", "--adapter", "caddyfile", "--config", &config]);
                let env = [
                    ("GODEBUG", "http2xconnect=1"),
                    ("GOMAXPROCS", "2"),
                    ("HOME", "."),
                ];
                launch.env = env.map(|(name, value)| (name, value.to_owned())).into();
            }
            Flavour::Envoy => {
                let config = site.write(flavour.config())?;
                launch = launch.args(["--concurrency", "2", "--disable-hot-restart"]);
                launch = launch.args(["--log-level", "warn", "--config-path", &config]);
            }
            Flavour::AxumReverseProxy
            | Flavour::Pingora
            | Flavour::Mounted
            | Flavour::MountedLayers
            | Flavour::Floor => {
                let (listen, upstream) = (site.listen.to_string(), site.upstream.to_string());
                launch = launch.args(["--listen", &listen, "--upstream", &upstream]);
                if flavour.has_tls() {
                    launch = launch.args(["--cert", "server.pem", "--key", "server.key"]);
                }
                if flavour == Flavour::MountedLayers {
                    launch = launch.args(["--layers"]);
                }
            }
            Flavour::Wsgate | Flavour::WsgateLayers => {
                let lines = site.read(flavour.config())?;
                let flags = lines.lines().filter(|line| line.starts_with("--"));
                launch = launch.args(flags);
            }
        }
        Ok(launch)
    }
}

/// What is worth telling of our layers.
const LAYERED: &[&str] = &["echo-64", "echo-64x16", "rate", "echo-16k", "idle"];

// ===== impl Flavour =====

impl Flavour {
    /// The configuration file, or the folder of the small program, from the peers' folder.
    pub(crate) fn config(self) -> &'static str {
        match self {
            Self::Nginx | Self::NginxDebian => "nginx/nginx.conf",
            Self::Nginx64k => "nginx/nginx-64k.conf",
            Self::Haproxy => "haproxy/haproxy.cfg",
            Self::Caddy => "caddy/Caddyfile",
            Self::Envoy => "envoy/envoy.yaml",
            Self::AxumReverseProxy => "axum-reverse-proxy/src/main.rs",
            Self::Pingora => "pingora/src/main.rs",
            Self::Wsgate => "wsgate/wsgate.args",
            Self::WsgateLayers => "wsgate/wsgate-layers.args",
            Self::Mounted | Self::MountedLayers => "mounted/src/main.rs",
            Self::Floor => "floor/src/main.rs",
        }
    }

    /// Whether it ends TLS, as all proxies of the comparison do.
    pub(crate) fn has_tls(self) -> bool {
        self != Self::Floor
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(
            self,
            Self::Wsgate | Self::WsgateLayers | Self::Mounted | Self::MountedLayers
        )
    }
}

// ===== impl Site =====

impl Site<'_> {
    /// A configuration, with this site's addresses in it.
    fn read(&self, config: &str) -> Result<String> {
        let path = self.configs.join(config);
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        // By way of marks: one new port may contain the other old one.
        let marked = text.replace(LISTEN, "\u{1}").replace(UPSTREAM, "\u{2}");
        Ok(marked
            .replace('\u{1}', &self.listen.port().to_string())
            .replace('\u{2}', &self.upstream.port().to_string()))
    }

    /// The same as a file of the site; returns its name.
    fn write(&self, config: &str) -> Result<String> {
        let name = config.rsplit('/').next().unwrap_or(config);
        let path = self.dir.join(name);
        std::fs::write(&path, self.read(config)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    #[test]
    fn each_configuration_names_both_addresses_once() {
        let configs = Workspace::load().unwrap().root.join("tests/compare/peers");
        for peer in all() {
            let path = configs.join(peer.flavour.config());
            let text = std::fs::read_to_string(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "rs") {
                continue;
            }
            for address in [LISTEN, UPSTREAM] {
                assert_eq!(
                    text.matches(address).count(),
                    1,
                    "{address} in {}",
                    path.display()
                );
            }
        }
    }

    #[test]
    fn a_configuration_gets_the_addresses_of_its_site() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.cfg"), "from :8443 to :9000").unwrap();
        let site = Site {
            dir: dir.path(),
            configs: dir.path(),
            // Each has the digits of the other's place in it.
            listen: ([127, 0, 0, 1], 19000).into(),
            upstream: ([127, 0, 0, 1], 18443).into(),
        };
        assert_eq!(site.read("a.cfg").unwrap(), "from :19000 to :18443");
    }

    #[test]
    fn a_build_of_ours_is_named_by_its_label_or_its_file() {
        let label = |text: &str| Peer::build_of_ours(text).map(|peer| peer.name);
        assert_eq!(label("shell=/bin/sh"), Ok("shell".to_owned()));
        assert_eq!(label("/bin/sh"), Ok("sh".to_owned()));
        assert!(
            label("gone=/no/such/file")
                .unwrap_err()
                .contains("/no/such/file")
        );
    }

    #[test]
    fn those_without_http2_sit_its_scenarios_out() {
        let http2 = Scenario::named("h2-idle").unwrap();
        let playing = all().into_iter().filter(|peer| peer.plays(http2));
        let playing: Vec<_> = playing.map(|peer| peer.name).collect();
        assert_eq!(playing, ["haproxy", "envoy", "caddy", "wsgate", "mounted"]);
    }
}
