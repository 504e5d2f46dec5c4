//! One lookup: the records, and the endpoints that they come to.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt, future, stream};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    lookup::Lookup,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType, rdata::SRV},
};
use tokio::{task::spawn_blocking, time::timeout};

use super::{Dns, Query};
use crate::{Endpoint, upstream::EndpointSettings};

/// The system's name servers cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("there is no telling which name servers to ask")]
pub struct ResolverError(#[from] NetError);

/// Asks, and remembers what it was told.
pub(super) struct Resolver {
    /// Made anew after a failure, as the system's name servers may have become others.
    resolver: Option<TokioResolver>,
    known: HashMap<Name, Addresses>,
}

/// What a lookup has found. There is at least one endpoint.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) endpoints: Vec<EndpointSettings>,
    /// How long it holds.
    pub(super) ttl: Duration,
}

/// Why a lookup has found nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    #[error("there is no such name")]
    NoName,
    #[error("the name has no records of this kind")]
    NoRecords,
    #[error("the lookup failed")]
    Failed(#[source] NetError),
    #[error("the lookup took longer than {LONGEST:?}")]
    TooLong,
}

/// The addresses of a name.
#[derive(Clone, Debug, Default)]
struct Addresses {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

// ===== impl Resolver =====

impl Resolver {
    pub(super) fn new() -> Self {
        Self {
            resolver: None,
            known: HashMap::new(),
        }
    }

    /// One lookup, with whatever others it takes.
    pub(super) async fn ask(&mut self, dns: &Dns) -> Result<Answer, AskError> {
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => resolver_for(dns).await?,
        };
        let answer = timeout(LONGEST, self.ask_by(&resolver, dns)).await;
        let answer = answer.unwrap_or(Err(AskError::TooLong))?;
        self.resolver = Some(resolver);
        Ok(answer)
    }

    async fn ask_by(&mut self, resolver: &TokioResolver, dns: &Dns) -> Result<Answer, AskError> {
        let (places, ttl) = match &dns.query {
            Query::Addresses { name, endpoint } => {
                let (addresses, ttl) = self.addresses(resolver, [name.clone()]).await?;
                let place = Place::new(endpoint.clone(), &addresses[name]);
                self.known = addresses;
                (vec![place], ttl)
            }
            Query::Services { name, is_tls, .. } => {
                let lookup = resolver.lookup(name.clone(), RecordType::SRV).await;
                let (records, srv_ttl) = services(&lookup.map_err(AskError::of)?);
                let targets = records.iter().map(|record| record.target.clone());
                let (addresses, ttl) = self.addresses(resolver, targets).await?;
                let places = places(&records, &addresses, *is_tls);
                self.known = addresses;
                (places, ttl.min(srv_ttl))
            }
        };
        let endpoints = places.iter().flat_map(Place::endpoints).take(MOST);
        let endpoints: Vec<_> = endpoints
            .map(|settings| settings.max_tunnels(dns.max_tunnels))
            .collect();
        match endpoints.is_empty() {
            true => Err(AskError::NoRecords),
            false => Ok(Answer {
                endpoints,
                ttl: Duration::from_secs(ttl.into()),
            }),
        }
    }

    /// The addresses of each of these names that has any, and how long they hold. A name that cannot be
    /// looked up keeps those that are known of it, unless it is the same with all of them.
    async fn addresses(
        &self,
        resolver: &TokioResolver,
        names: impl IntoIterator<Item = Name>,
    ) -> Result<(HashMap<Name, Addresses>, u32), AskError> {
        let names: HashSet<Name> = names.into_iter().collect();
        let lookups = names.into_iter().map(|name| async {
            let known = self.known.get(&name).cloned().unwrap_or_default();
            let now = known.asked_again(resolver, &name).await;
            (name, known, now)
        });
        let answers: Vec<_> = stream::iter(lookups)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut addresses = HashMap::new();
        let (mut least, mut failed) = (u32::MAX, AskError::NoRecords);
        let mut is_new = false;
        for (name, known, now) in answers {
            match now {
                Ok((now, ttl)) => {
                    is_new = true;
                    least = least.min(ttl);
                    addresses.insert(name, now);
                }
                Err(error) => {
                    tracing::debug!(%name, %error, "no address");
                    // A target that is missing may be there soon.
                    least = least.min(RETRY);
                    if matches!(error, AskError::Failed(_)) {
                        addresses.insert(name, known);
                    }
                    failed = error;
                }
            }
        }
        match is_new {
            true => Ok((addresses, least)),
            false => Err(failed),
        }
    }
}

/// How long one lookup takes at most, with all that it takes: a name server has 5 s, twice.
const LONGEST: Duration = Duration::from_secs(30);

/// Targets of SRV records that are looked up at once.
const AT_ONCE: usize = 16;

/// Endpoints of one name at most. More than fit into the longest answer are somebody's mischief.
const MOST: usize = 4_096;

/// After how many seconds to ask again where a part of the answer was missing.
const RETRY: u32 = 30;

// ===== impl Addresses =====

impl Addresses {
    /// The addresses as they are now, if there is one. Where only one of the two kinds cannot be had,
    /// those known of it stay: there are name servers that fail when they are asked for AAAA.
    async fn asked_again(
        &self,
        resolver: &TokioResolver,
        name: &Name,
    ) -> Result<(Self, u32), AskError> {
        let (v4, v6) = future::join(
            resolver.lookup(name.clone(), RecordType::A),
            resolver.lookup(name.clone(), RecordType::AAAA),
        )
        .await;
        let kept = |known: &[IpAddr], error: &AskError| match error {
            AskError::Failed(_) => (known.to_vec(), RETRY),
            // To have none of a kind is an answer, and no reason to ask again sooner.
            _ => (Vec::new(), u32::MAX),
        };
        let (v4, v6) = match (family(v4), family(v6)) {
            (Err(failed @ AskError::Failed(_)), Err(_)) | (Err(_), Err(failed)) => {
                return Err(failed);
            }
            (Ok(v4), Ok(v6)) => (v4, v6),
            (Ok(v4), Err(error)) => (v4, kept(&self.v6, &error)),
            (Err(error), Ok(v6)) => (kept(&self.v4, &error), v6),
        };
        let ttl = v4.1.min(v6.1);
        Ok((Self { v4: v4.0, v6: v6.0 }, ttl))
    }
}

/// The addresses of one kind, at least one, and how long they hold.
fn family(lookup: Result<Lookup, NetError>) -> Result<(Vec<IpAddr>, u32), AskError> {
    let lookup = lookup.map_err(AskError::of)?;
    let found = lookup.answers().iter().filter_map(|r| match &r.data {
        RData::A(a) => Some(IpAddr::V4(a.0)),
        RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
        _ => None,
    });
    let mut found: Vec<_> = found.collect();
    // Servers turn them round and round.
    found.sort_unstable();
    match found.is_empty() {
        true => Err(AskError::NoRecords),
        false => Ok((found, ttl(&lookup))),
    }
}

/// The shortest on the way from the name to the records, CNAMEs included.
fn ttl(lookup: &Lookup) -> u32 {
    let ttls = lookup.answers().iter().map(|record| record.ttl);
    ttls.min().unwrap_or(0)
}

// ===== services =====

/// A name and a port, the addresses of which are endpoints.
struct Place {
    endpoint: Endpoint,
    ips: Vec<IpAddr>,
    weight: u32,
    is_backup: bool,
}

impl Place {
    fn new(endpoint: Endpoint, addresses: &Addresses) -> Self {
        Self {
            endpoint,
            ips: [&*addresses.v4, &*addresses.v6].concat(),
            weight: 1,
            is_backup: false,
        }
    }

    fn endpoints(&self) -> impl Iterator<Item = EndpointSettings> {
        self.ips.iter().map(|&ip| {
            let settings = EndpointSettings::from(self.endpoint.clone().at(ip));
            let settings = settings.weight(self.weight);
            match self.is_backup {
                true => settings.backup(),
                false => settings,
            }
        })
    }
}

fn services(lookup: &Lookup) -> (Vec<SRV>, u32) {
    let records = lookup.answers().iter().filter_map(|r| match &r.data {
        // RFC 2782: a target of `.` says that there is no such service.
        RData::SRV(srv) if !srv.target.is_root() => Some(srv.clone()),
        _ => None,
    });
    (records.collect(), ttl(lookup))
}

/// Where the services are. The lowest priority of those that have an address is the one to use.
fn places(records: &[SRV], addresses: &HashMap<Name, Addresses>, is_tls: bool) -> Vec<Place> {
    let found = records
        .iter()
        .filter_map(|r| Some((r, addresses.get(&r.target)?)));
    let first = found.clone().map(|(record, _)| record.priority).min();
    let places = found.filter_map(|(record, addresses)| {
        let scheme = if is_tls { "https" } else { "http" };
        let host = record.target.to_ascii();
        let host = host.trim_end_matches('.');
        // What a server may send as a name need not be a host.
        let endpoint = format!("{scheme}://{host}:{}", record.port).parse().ok()?;
        Some(Place {
            weight: u32::from(record.weight).max(1),
            is_backup: Some(record.priority) != first,
            ..Place::new(endpoint, addresses)
        })
    });
    places.collect()
}

// ===== impl AskError =====

impl AskError {
    fn of(error: NetError) -> Self {
        match error {
            error if error.is_nx_domain() => Self::NoName,
            error if error.is_no_records_found() => Self::NoRecords,
            error => Self::Failed(error),
        }
    }
}

// ===== the name servers =====

async fn resolver_for(dns: &Dns) -> Result<TokioResolver, ResolverError> {
    let name_servers = dns.name_servers.clone();
    // The system's are read from a file.
    let built = spawn_blocking(move || resolver(&name_servers)).await;
    built.unwrap_or_else(|error| Err(NetError::from(std::io::Error::other(error)).into()))
}

/// Blocks for as long as it takes to read a small file.
pub(super) fn resolver(name_servers: &[SocketAddr]) -> Result<TokioResolver, ResolverError> {
    let mut builder = match name_servers {
        [] => TokioResolver::builder_tokio()?,
        _ => TokioResolver::builder_with_config(
            ResolverConfig::from_name_servers(name_servers.iter().map(server).collect()),
            TokioRuntimeProvider::default(),
        ),
    };
    let options = builder.options_mut();
    // Nothing is asked for twice while it holds.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    Ok(builder.build()?)
}

fn server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
