//! Against a name server on loopback, a lookup at a time: nothing waits for a TTL.

mod server;

use std::time::Duration;

use self::server::{Answer, Server};
use super::{follow::Follower, *};
use crate::upstream::{Upstream, chores::WeakUpstream};

#[tokio::test]
async fn addresses_change_with_their_records() {
    let mut group = Group::of("dns:http://backend.test:9000").await;
    group.server.set(
        "backend.test",
        30,
        ["A 10.0.0.2", "A 10.0.0.1", "AAAA fd00::1"],
    );
    let ttl = group.round().await;
    assert!((30.0..33.0).contains(&ttl.as_secs_f64()), "{ttl:?}");
    group.check(&[
        "http://backend.test:9000 at 10.0.0.1",
        "http://backend.test:9000 at 10.0.0.2",
        "http://backend.test:9000 at fd00::1",
    ]);

    group
        .server
        .set("backend.test", 5, ["A 10.0.0.2", "A 10.0.0.3"]);
    let ttl = group.round().await;
    assert!((5.0..5.5).contains(&ttl.as_secs_f64()), "{ttl:?}");
    group.check(&[
        "http://backend.test:9000 at 10.0.0.2",
        "http://backend.test:9000 at 10.0.0.3",
    ]);
}

#[tokio::test]
async fn an_endpoint_keeps_the_name() {
    let mut group = Group::of("dns:https://backend.test").await;
    group.server.set("backend.test", 30, ["A 10.0.0.1"]);
    group.round().await;
    let endpoint = group.upstream.endpoints()[0].endpoint.clone();
    assert_eq!(endpoint.host(), "backend.test");
    assert_eq!(endpoint.socket_addr(), Some(([10, 0, 0, 1], 443).into()));
}

#[tokio::test]
async fn ttls_are_bounded() {
    #[track_caller]
    fn check(found: Duration, least: f64) {
        let most = least * 1.1;
        assert!((least..most).contains(&found.as_secs_f64()), "{found:?}");
    }
    let mut group = Group::of("dns:http://backend.test").await;
    group.server.set("backend.test", 0, ["A 10.0.0.1"]);
    check(group.round().await, 1.0);
    group.server.set("backend.test", 86_400, ["A 10.0.0.1"]);
    check(group.round().await, 300.0);
    // The shortest on the way counts.
    group
        .server
        .set("backend.test", 7, ["CNAME other.test", "A 10.0.0.1 60"]);
    check(group.round().await, 7.0);
    // Failures are further and further apart.
    group.server.fail("backend.test", Answer::Servfail);
    for wait in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        check(group.round().await, wait);
    }
    group.server.set("backend.test", 20, ["A 10.0.0.1"]);
    check(group.round().await, 20.0);
    group.server.fail("backend.test", Answer::Servfail);
    check(group.round().await, 1.0);
}

#[tokio::test]
async fn a_name_that_is_gone_keeps_its_endpoints() {
    let mut group = Group::of("dns:http://backend.test").await;
    // Nothing to keep yet.
    group.round().await;
    group.check(&[]);

    group.server.set("backend.test", 30, ["A 10.0.0.1"]);
    group.round().await;
    group.check(&["http://backend.test at 10.0.0.1"]);
    for answer in [
        Answer::Nxdomain,
        Answer::Records(Vec::new()),
        Answer::Servfail,
    ] {
        group.server.fail("backend.test", answer);
        group.round().await;
        group.check(&["http://backend.test at 10.0.0.1"]);
    }
    group.server.set("backend.test", 30, ["A 10.0.0.2"]);
    group.round().await;
    group.check(&["http://backend.test at 10.0.0.2"]);
}

#[tokio::test]
async fn a_server_that_fails_for_one_kind_takes_nothing_away() {
    let mut group = Group::of("dns:http://backend.test").await;
    group
        .server
        .set("backend.test", 300, ["A 10.0.0.1", "AAAA fd00::1"]);
    group.round().await;
    group
        .server
        .set("backend.test", 300, ["A 10.0.0.2", "AAAA SERVFAIL"]);
    let ttl = group.round().await;
    group.check(&[
        "http://backend.test at 10.0.0.2",
        "http://backend.test at fd00::1",
    ]);
    assert!(ttl < Duration::from_secs(34), "{ttl:?}");

    // One that fails for the only kind there is has failed.
    group.server.set("backend.test", 300, ["A SERVFAIL"]);
    let ttl = group.round().await;
    assert!(ttl < Duration::from_secs(2), "{ttl:?}");
    assert_eq!(group.upstream.endpoints().len(), 2);

    // One that says that there is none takes it away.
    group.server.set("backend.test", 300, ["A 10.0.0.2"]);
    group.round().await;
    group.check(&["http://backend.test at 10.0.0.2"]);
}

#[tokio::test]
async fn services_have_ports_weights_and_priorities() {
    let mut group = Group::of("srv:_ws._tcp.test").await;
    group.server.set("a.test", 60, ["A 10.0.0.1"]);
    group
        .server
        .set("b.test", 20, ["A 10.0.0.2", "AAAA fd00::2"]);
    group.server.set("c.test", 60, ["A 10.0.0.3"]);
    let services = [
        "SRV 5 0 9001 a.test",
        "SRV 5 3 9002 b.test",
        "SRV 9 7 9003 c.test",
    ];
    group.server.set("_ws._tcp.test", 60, services);
    let ttl = group.round().await;
    assert!((20.0..22.0).contains(&ttl.as_secs_f64()), "{ttl:?}");
    group.check(&[
        "http://a.test:9001 at 10.0.0.1",
        "http://b.test:9002 at 10.0.0.2 weight=3",
        "http://b.test:9002 at fd00::2 weight=3",
        "http://c.test:9003 at 10.0.0.3 weight=7 backup",
    ]);

    // The next priority takes over, and is a backup no more.
    group.server.set(
        "_ws._tcp.test",
        60,
        ["SRV 9 7 9003 c.test", "SRV 9 1 9003 a.test"],
    );
    group.round().await;
    group.check(&[
        "http://a.test:9003 at 10.0.0.1",
        "http://c.test:9003 at 10.0.0.3 weight=7",
    ]);
}

#[tokio::test]
async fn a_target_that_cannot_be_looked_up_stays_as_it_was() {
    let mut group = Group::of("srv:https://_ws._tcp.test").await;
    group.server.set("a.test", 60, ["A 10.0.0.1"]);
    group.server.set("b.test", 60, ["A 10.0.0.2"]);
    let services = [
        "SRV 1 1 443 a.test",
        "SRV 2 1 443 b.test",
        "SRV 0 1 443 new.test",
    ];
    group.server.set("_ws._tcp.test", 60, services);
    // One without any address is none, and not the first either.
    let both = [
        "https://a.test:443 at 10.0.0.1",
        "https://b.test:443 at 10.0.0.2 backup",
    ];
    group.round().await;
    group.check(&both);

    group.server.fail("a.test", Answer::Servfail);
    group.round().await;
    group.check(&both);
    for answer in [Answer::Nxdomain, Answer::Servfail] {
        group.server.fail("_ws._tcp.test", answer);
        group.round().await;
        group.check(&both);
    }
    // RFC 2782: no such service here.
    group.server.set("_ws._tcp.test", 60, ["SRV 0 0 0 ."]);
    group.round().await;
    group.check(&both);
}

#[tokio::test]
async fn a_long_answer_comes_by_tcp() {
    let mut group = Group::of("dns:http://backend.test").await;
    let records: Vec<_> = (0..200).map(|n| format!("A 10.0.1.{n}")).collect();
    group
        .server
        .set("backend.test", 30, records.iter().map(String::as_str));
    group.round().await;
    assert_eq!(group.upstream.endpoints().len(), 200);
}

#[tokio::test]
async fn a_group_follows_its_name() {
    let server = Server::start().await;
    server.set("backend.test", 0, ["A 10.0.0.1"]);
    let dns = Dns::addresses("http://backend.test").unwrap();
    let dns = dns
        .name_server(server.address())
        .min_ttl(Duration::from_millis(5));
    let upstream = Upstream::builder("test").dns(dns).build().unwrap();
    upstream.discovered().await;
    assert_eq!(told(&upstream), ["http://backend.test at 10.0.0.1"]);

    server.set("backend.test", 0, ["A 10.0.0.2"]);
    let changed = async {
        while told(&upstream) != ["http://backend.test at 10.0.0.2"] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed)
        .await
        .unwrap();

    let group = WeakUpstream::of(&upstream);
    drop(upstream);
    assert!(group.upgrade().is_none());
}

#[test]
fn a_group_needs_no_runtime_to_be_made() {
    let dns = Dns::addresses("http://backend.test").unwrap();
    let dns = dns.name_server(([127, 0, 0, 1], 1));
    let upstream = Upstream::builder("test").dns(dns).build().unwrap();
    assert!(upstream.endpoints().is_empty());
}

/// A group whose name is looked up by hand.
struct Group {
    server: Server,
    upstream: Upstream,
    follower: Follower,
}

impl Group {
    async fn of(dns: &str) -> Self {
        let server = Server::start().await;
        let dns: Dns = dns.parse().unwrap();
        let upstream = Upstream::builder("test").endpoint(hand()).build().unwrap();
        upstream.remove(&hand()).unwrap();
        let tls = dns.is_tls().then(roots);
        let follower = Follower::new(dns.name_server(server.address()), tls);
        Self {
            server,
            upstream,
            follower,
        }
    }

    async fn round(&mut self) -> Duration {
        let group = WeakUpstream::of(&self.upstream);
        self.follower.round(&group).await.unwrap()
    }

    #[track_caller]
    fn check(&self, expected: &[&str]) {
        assert_eq!(told(&self.upstream), expected);
    }
}

fn hand() -> crate::Endpoint {
    "http://hand".parse().unwrap()
}

/// Anybody's: nothing is connected to.
fn roots() -> UpstreamTls {
    UpstreamTls::system_roots().unwrap()
}

/// The endpoints, sorted.
fn told(upstream: &Upstream) -> Vec<String> {
    let told = upstream.endpoints().into_iter().map(|e| {
        let mut told = e.endpoint.to_string();
        if e.weight != 1 {
            told += &format!(" weight={}", e.weight);
        }
        if e.is_backup {
            told += " backup";
        }
        told
    });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}
