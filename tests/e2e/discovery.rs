//! Endpoints that a real name server tells of, and what their changes mean to tunnels.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wsgate::WebSocketProxy;
use wsgate::proxy::upstream::{Upstream as Group, discovery::Dns};
use wsgate_tests::client::Handshake;
use wsgate_tests::dns::NameServer;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace::{self, Trace};
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::{Frame, Tunnel, fixed_port, within};

#[tokio::test]
async fn a_change_of_dns_moves_new_tunnels_only() {
    let trace = trace::init();
    let (first, second): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
    let port = fixed_port();
    let old = Upstream::at(SocketAddr::new(first, port), script::echo()).await;
    let new = Upstream::at(SocketAddr::new(second, port), script::echo()).await;
    let names = NameServer::start(&[("backend.test", first)]).await;
    let dns = Dns::addresses(&format!("http://backend.test:{port}")).unwrap();
    let dns = dns.name_server(names.addr()).min_ttl(OFTEN).max_ttl(OFTEN);
    let group = Group::builder("backend").dns(dns).build().unwrap();
    let gateway = Gateway::proxying(WebSocketProxy::to_upstream(group.clone())).await;
    let target = gateway.target();

    // Nobody has waited for the first answer: the handshake does.
    let mut before = target.tunnel(Handshake::of("/websocket")).await;
    echoes(&mut before).await;

    names.set(&[("backend.test", second)]).await;
    finds(&group, second).await;
    let mut after = target.tunnel(Handshake::of("/websocket")).await;
    echoes(&mut after).await;
    echoes(&mut before).await;

    names.set(&[]).await;
    warns(&trace, "there is no such name").await;
    finds(&group, second).await;
    let mut last = target.tunnel(Handshake::of("/websocket")).await;
    echoes(&mut last).await;

    names.set(&[("backend.test", first)]).await;
    finds(&group, first).await;
    echoes(&mut last).await;

    for tunnel in [before, after, last] {
        tunnel.close(1000, "").await;
    }
    gateway.join().await;
    assert_eq!(old.join().await.len(), 1);
    assert_eq!(new.join().await.len(), 2);
}

async fn echoes(tunnel: &mut Tunnel) {
    tunnel.send(Frame::text("hello")).await;
    assert_eq!(tunnel.frame().await.unmasked(), Frame::text("hello"));
}

/// Waits until the log says why the endpoints stay.
async fn warns(trace: &Trace, reason: &str) {
    let is_it = |told: Option<&String>| told.is_some_and(|told| told.starts_with(reason));
    let warned = async {
        while !trace.events().iter().any(|e| is_it(e.fields.get("reason"))) {
            tokio::time::sleep(OFTEN).await;
        }
    };
    within(reason, warned).await;
}

/// Waits until this is the group's only endpoint.
async fn finds(group: &Group, ip: IpAddr) {
    let found = async {
        loop {
            let endpoints = group.endpoints();
            let told: Vec<_> = endpoints.iter().map(|e| e.endpoint.to_string()).collect();
            if matches!(&*told, [one] if one.ends_with(&format!(" at {ip}"))) {
                return;
            }
            tokio::time::sleep(OFTEN).await;
        }
    };
    within("the endpoint to be found", found).await;
}

const OFTEN: Duration = Duration::from_millis(20);
