//! Where a route leads: to one endpoint, or to a group of them.

use std::{error::Error, fs, num::NonZeroUsize, path::Path, time::Duration};

use tracing::warn;
use wsgate::proxy::{
    UpstreamTls, WebSocketProxy,
    upstream::{
        BalanceKind, EndpointSettings, Http2, Rebalance, StickyCookie, Upstream, UpstreamBuilder,
        discovery::{Dns, EndpointFile},
        health::HealthCheck,
    },
};
use wsgate::server::loose_permissions;

use super::{PlanError, some_time, stack::some_time_or_off};
use crate::{
    args::GatewayArgs,
    route::{EndpointSpec, RouteSpec},
};

/// How groups choose, and what they do by themselves: the same for all routes.
#[derive(Debug)]
pub(super) struct Grouping {
    balance: BalanceKind,
    /// Of the sticky cookie; `None` for one made by chance.
    key: Option<Vec<u8>>,
    tries: Option<NonZeroUsize>,
    deadline: Option<Duration>,
    check: Option<HealthCheck>,
    slow_start: Option<Duration>,
    close_removed: Option<Duration>,
    rebalance: bool,
    http2: Http2,
}

type BoxError = Box<dyn Error + Send + Sync>;

// ===== impl Grouping =====

impl Grouping {
    /// Checks what was written, and whether anything comes of it.
    pub(super) fn new(args: &GatewayArgs, specs: &[RouteSpec]) -> Result<Self, PlanError> {
        let group = &args.group;
        let given = [
            ("--balance", group.balance.is_some()),
            ("--tries", group.tries.is_some()),
            ("--tries-timeout", group.tries_timeout.is_some()),
            ("--health-check", group.health_check.is_some()),
            ("--slow-start", group.slow_start.on().is_some()),
            ("--close-removed", group.close_removed.on().is_some()),
            ("--rebalance", group.rebalance),
        ];
        let has_group = specs.iter().any(RouteSpec::is_group);
        if let Some((option, _)) = given.iter().find(|(_, given)| *given && !has_group) {
            return Err(PlanError::NoGroup(option));
        }
        let balance = group.balance.clone().unwrap_or_default();
        let key = group.sticky_key.as_deref();
        if key.is_some() && balance != BalanceKind::StickyCookie {
            return Err(PlanError::KeyOfNoCookie);
        }
        let interval = some_time("--health-check-interval", group.health_check_interval)?;
        let check = group.health_check.clone();
        Ok(Self {
            key: key.map(sticky_key).transpose()?,
            balance,
            tries: group.tries,
            deadline: match group.tries_timeout {
                Some(timeout) => Some(some_time("--tries-timeout", timeout)?),
                None => None,
            },
            check: check.map(|check| check.every(interval)),
            slow_start: some_time_or_off("--slow-start", group.slow_start)?,
            close_removed: some_time_or_off("--close-removed", group.close_removed)?,
            rebalance: group.rebalance,
            http2: args.upstream.http2.into(),
        })
    }

    /// The proxy of a route, without what all proxies share.
    pub(super) fn proxy(
        &self,
        spec: &RouteSpec,
        tls: Option<&UpstreamTls>,
    ) -> Result<WebSocketProxy, BoxError> {
        match &*spec.endpoints {
            [only] if !spec.is_group() => {
                Ok(WebSocketProxy::to_endpoint(self.settings(only, tls)?)?)
            }
            _ => Ok(WebSocketProxy::to_upstream(self.upstream(spec, tls)?)),
        }
    }

    fn upstream(&self, spec: &RouteSpec, tls: Option<&UpstreamTls>) -> Result<Upstream, BoxError> {
        let mut builder = Upstream::builder(&spec.path).balance(self.policy()?);
        if let Some(tries) = self.tries {
            builder = builder.tries(tries.get());
        }
        if let Some(deadline) = self.deadline {
            builder = builder.deadline(deadline);
        }
        for endpoint in &spec.endpoints {
            builder = self.add(builder, endpoint, tls)?;
        }
        if let Some(check) = &self.check {
            builder = builder.health_check(check.clone());
        }
        if let Some(over) = self.slow_start {
            builder = builder.slow_start(over);
        }
        if let Some(within) = self.close_removed {
            builder = builder.close_removed(within);
        }
        if self.rebalance {
            builder = builder.rebalance(Rebalance::new());
        }
        Ok(builder.build()?)
    }

    fn policy(&self) -> Result<Box<dyn wsgate::proxy::upstream::Balance>, BoxError> {
        match &self.key {
            Some(key) => Ok(Box::new(StickyCookie::with_key(key)?)),
            None => Ok(self.balance.policy()),
        }
    }

    fn add(
        &self,
        builder: UpstreamBuilder,
        spec: &EndpointSpec,
        tls: Option<&UpstreamTls>,
    ) -> Result<UpstreamBuilder, BoxError> {
        if !spec.is_source() {
            return Ok(builder.endpoint(self.settings(spec, tls)?));
        }
        if !spec.options.is_empty() {
            return Err(format!(
                "`{}` says itself what its endpoints are: take `{}` away",
                spec.endpoint, spec.options
            )
            .into());
        }
        if let Some(path) = spec.endpoint.strip_prefix("file:") {
            let file = EndpointFile::new(path);
            return Ok(builder.file(match tls {
                Some(tls) => file.tls(tls.clone()),
                None => file,
            }));
        }
        let dns: Dns = spec.endpoint.parse()?;
        Ok(builder.dns(match tls {
            Some(tls) if spec.tls => dns.tls(tls.clone()),
            _ => dns,
        }))
    }

    fn settings(
        &self,
        spec: &EndpointSpec,
        tls: Option<&UpstreamTls>,
    ) -> Result<EndpointSettings, BoxError> {
        let line = format!("{} {}", spec.endpoint, spec.options);
        let settings: EndpointSettings = line.parse()?;
        let settings = settings.http2(self.http2);
        Ok(match tls {
            Some(tls) if spec.tls => settings.tls(tls.clone()),
            _ => settings,
        })
    }
}

fn sticky_key(file: &Path) -> Result<Vec<u8>, PlanError> {
    let read = fs::read(file).map_err(BoxError::from);
    let checked = read.and_then(|key| match StickyCookie::with_key(&key) {
        Ok(_) => {
            if let Some(loose) = loose_permissions(file) {
                warn!("{loose}");
            }
            Ok(key)
        }
        Err(error) => Err(error.into()),
    });
    checked.map_err(|source| PlanError::StickyKey {
        file: file.display().to_string(),
        source,
    })
}
