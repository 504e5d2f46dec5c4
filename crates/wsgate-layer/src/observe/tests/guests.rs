//! Who a handshake comes from, and what it asks for.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, body::Body, extract::ConnectInfo, routing::any};
use http::{Request, uri::Scheme};
use tokio::io::DuplexStream;
use tower::ServiceExt;

use super::{super::*, harness::*};
use crate::{client::TrustedProxies, upgrade::UpgradeSender};

/// Writes down who came.
struct Doorman(Guests);

type Guests = Arc<Mutex<Vec<(u64, String)>>>;

impl Observer for Doorman {
    fn handshake(&self, handshake: &Handshake<'_>) {
        let Handshake {
            id,
            route,
            client,
            peer,
            scheme,
            host,
            ..
        } = handshake;
        let who = format!("{route} {client:?} {peer:?} {scheme} {host:?}");
        self.0.lock().unwrap().push((*id, who));
    }
}

async fn came(
    layer: impl FnOnce(ObserveLayer) -> ObserveLayer,
    reqs: Vec<Request<()>>,
) -> Vec<(u64, String)> {
    let guests = Guests::default();
    let layer = layer(ObserveLayer::new(Doorman(guests.clone())));
    let app: Router = Router::new()
        .route("/rooms/{room}", any(|| async {}))
        .layer(layer);
    for mut req in reqs {
        let _sender: UpgradeSender<DuplexStream> = upgradeable(&mut req);
        let _ = app.clone().oneshot(req.map(|()| Body::empty())).await;
    }
    std::mem::take(&mut *guests.lock().unwrap())
}

#[tokio::test]
async fn a_handshake_tells_its_route_and_its_client() {
    let mut req = request();
    req.extensions_mut().insert(Scheme::HTTPS);
    let told = came(|l| l, vec![req, request()]).await;
    assert_eq!(
        told[0].1,
        "/rooms/{room} Some(192.0.2.7) Some(192.0.2.7:4711) https Some(\"example.com:8443\")"
    );
    assert_ne!(told[0].0, told[1].0, "each has a number of its own");
}

#[tokio::test]
async fn only_trusted_proxies_are_believed() {
    let forwarded = || {
        let mut req = request();
        let proxy = ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 1)));
        req.extensions_mut().insert(proxy);
        req.headers_mut()
            .insert("x-forwarded-for", "198.51.100.9".parse().unwrap());
        req
    };
    let client = |told: Vec<(u64, String)>| told[0].1.split(' ').nth(1).unwrap().to_owned();
    let stranger = came(|l| l, vec![forwarded()]).await;
    assert_eq!(client(stranger), "Some(10.0.0.1)");
    let trusted = TrustedProxies::new(["10.0.0.0/8"]).unwrap();
    let told = came(|l| l.trusted_proxies(trusted), vec![forwarded()]).await;
    assert_eq!(client(told), "Some(198.51.100.9)");
}

#[tokio::test]
async fn a_host_is_told_without_its_password_and_only_if_it_can_be_one() {
    let with_uri = |uri: &str| {
        let mut req = request();
        *req.uri_mut() = uri.parse().unwrap();
        req
    };
    let mut long = request();
    long.headers_mut()
        .insert("host", "a".repeat(300).parse().unwrap());
    let reqs = vec![with_uri("http://me:secret@example.org/rooms/1"), long];
    let told = came(|l| l, reqs).await;
    assert!(told[0].1.ends_with("Some(\"example.org\")"), "{told:?}");
    assert!(told[1].1.ends_with("None"), "{told:?}");
}
