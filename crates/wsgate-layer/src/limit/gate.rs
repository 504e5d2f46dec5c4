use std::{
    net::IpAddr,
    sync::{Arc, Once},
};

use http::Request;

use super::{
    Settings,
    handshakes::Handshakes,
    places::{Asked, ClientPlace, ClientPlaces, Place, Places, Waiting},
    refused::{RefusalLog, Refused},
};
use crate::{client, tunnel::Tunnel};

/// Where handshakes are let in, one for a layer and all of its clones.
#[derive(Debug)]
pub(super) struct Gate {
    settings: Settings,
    handshakes: Option<Handshakes>,
    per_client: Option<Arc<ClientPlaces>>,
    total: Option<Places>,
    pending: Option<Places>,
    refusals: RefusalLog,
}

/// What a tunnel holds as long as it lives. Dropped, its places are free again.
#[derive(Debug, Default)]
pub(super) struct Permit {
    _places: (Option<ClientPlace>, Option<Place>),
}

/// What a handshake holds until it is answered.
#[derive(Debug, Default)]
pub(super) struct Pending {
    _place: Option<Place>,
}

/// What came of a handshake.
#[derive(Debug)]
pub(super) enum Admission {
    Admitted(Permit),
    /// It may get a place yet. The client's own is held meanwhile, so that no client can stand in
    /// the queue more often than it may have tunnels.
    Queued(Waiting, Option<ClientPlace>),
    Refused(Refused),
}

// ===== impl Gate =====

impl Gate {
    pub(super) fn new(settings: Settings) -> Self {
        let places = |at_most| Places::new(at_most, settings.queue);
        let per_client = settings.tunnels_per_client.map(ClientPlaces::new);
        Self {
            handshakes: settings.handshake_rate.map(Handshakes::new),
            per_client: per_client.map(Arc::new),
            total: settings.tunnels.map(places),
            pending: settings.pending_handshakes.map(|n| Places::new(n, None)),
            refusals: RefusalLog::default(),
            settings,
        }
    }

    pub(super) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who is at the door. `None`, if the server does not say.
    pub(super) fn client<B>(&self, req: &Request<B>) -> Option<IpAddr> {
        let peer = client::peer_addr(req.extensions())?;
        Some(self.settings.trusted.client(peer.ip(), req.headers()))
    }

    /// The limits of the client come first: who is beyond them takes no place of the others.
    pub(super) fn admit(&self, client: Option<IpAddr>) -> Admission {
        let own = match self.admit_client(client) {
            Ok(own) => own,
            Err(refused) => return Admission::Refused(refused),
        };
        match self.total.as_ref().map(Places::ask) {
            None => Admission::Admitted(Permit::new(own, None)),
            Some(Asked::Given(place)) => Admission::Admitted(Permit::new(own, Some(place))),
            Some(Asked::Queued(waiting)) => Admission::Queued(waiting, own),
            Some(Asked::Full) => Admission::Refused(Refused::TUNNELS),
        }
    }

    /// Lets one more handshake go on to the handler.
    pub(super) fn begin(&self) -> Result<Pending, Refused> {
        let _place = match self.pending.as_ref().map(Places::ask) {
            None => None,
            Some(Asked::Given(place)) => Some(place),
            Some(_) => return Err(Refused::PENDING_HANDSHAKES),
        };
        Ok(Pending { _place })
    }

    fn admit_client(&self, client: Option<IpAddr>) -> Result<Option<ClientPlace>, Refused> {
        if self.handshakes.is_none() && self.per_client.is_none() {
            return Ok(None);
        }
        let Some(client) = client.map(client::subscriber) else {
            warn_without_client();
            return Ok(None);
        };
        if let Some(handshakes) = &self.handshakes {
            let knocked = handshakes.check(client);
            knocked.map_err(Refused::handshake_rate)?;
        }
        let places = self.per_client.as_ref();
        let place = places.map(|p| p.take(client).ok_or(Refused::TUNNELS_PER_CLIENT));
        place.transpose()
    }

    /// Tells of a refusal all who want to know.
    pub(super) fn tell(&self, refused: Refused, tunnel: &Tunnel, client: Option<IpAddr>) {
        tunnel.limit(refused.limit);
        self.refusals.tell(refused, client);
    }
}

// ===== impl Permit =====

impl Permit {
    pub(super) const fn new(own: Option<ClientPlace>, place: Option<Place>) -> Self {
        Self {
            _places: (own, place),
        }
    }
}

fn warn_without_client() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        tracing::warn!(
            "requests do not tell their client's address, so that the limits per client can't act: \
             serve with `into_make_service_with_connect_info::<SocketAddr>()`, as wsgate's own \
             server does"
        );
    });
}
