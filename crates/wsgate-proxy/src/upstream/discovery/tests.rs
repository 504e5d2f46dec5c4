//! What all sources share, and streams.

use std::{io, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use http::HeaderMap;
use tokio::{sync::mpsc, time::Instant};
use tokio_test::{assert_pending, assert_ready, task};
use tower::discover::{Change, Discover};

use super::*;
use crate::upstream::{Handshake, Lease};

// ===== one set after another =====

#[tokio::test]
async fn a_set_takes_the_place_of_the_last_one() {
    let upstream = upstream();
    let mut found = Found::new("test".to_owned(), None);
    found.apply(&upstream, set(["a", "b weight=2"])).await;
    check(&upstream, &["hand 1", "a 1", "b 2"]);

    found
        .apply(&upstream, set(["c", "b weight=3", "c weight=9"]))
        .await;
    check(&upstream, &["hand 1", "b 3", "c 1"]);
}

#[tokio::test]
async fn tunnels_on_what_stays_are_counted_on() {
    let upstream = upstream();
    let mut found = Found::new("test".to_owned(), None);
    found.apply(&upstream, set(["a"])).await;
    let lease = lease(&upstream, "a");

    let changed = set(["a weight=5 backup max-tunnels=7"]);
    found.apply(&upstream, changed).await;
    check(&upstream, &["hand 1", "a 5 backup 1 tunnel"]);
    assert_eq!(upstream.endpoints()[1].max_tunnels, 7);

    found.apply(&upstream, set(["a"])).await;
    check(&upstream, &["hand 1", "a 1 1 tunnel"]);
    drop(lease);
    check(&upstream, &["hand 1", "a 1"]);
}

#[tokio::test]
async fn tunnels_of_one_that_comes_back_count_again() {
    let upstream = upstream();
    let mut found = Found::new("test".to_owned(), None);
    found.apply(&upstream, set(["a", "b"])).await;
    let lease = lease(&upstream, "a");

    found.apply(&upstream, set(["b"])).await;
    check(&upstream, &["hand 1", "b 1"]);
    assert_eq!(lease.member().tunnels(), 1);

    found.apply(&upstream, set(["a weight=2", "b"])).await;
    check(&upstream, &["hand 1", "b 1", "a 2 1 tunnel"]);
    drop(lease);
    check(&upstream, &["hand 1", "b 1", "a 2"]);

    // Without tunnels it is a new one.
    found.apply(&upstream, set(["b"])).await;
    found.apply(&upstream, set(["a", "b"])).await;
    check(&upstream, &["hand 1", "b 1", "a 1"]);
}

#[tokio::test]
async fn what_others_have_added_is_theirs() {
    let upstream = upstream();
    let mut one = Found::new("one".to_owned(), None);
    let mut other = Found::new("other".to_owned(), None);
    one.apply(&upstream, set(["a"])).await;
    other
        .apply(&upstream, set(["hand weight=9", "a weight=9", "b"]))
        .await;
    check(&upstream, &["hand 1", "a 1", "b 1"]);

    other.apply(&upstream, set(["c"])).await;
    check(&upstream, &["hand 1", "a 1", "c 1"]);

    // Free again, it is found by whoever is the next to find it.
    one.apply(&upstream, set(["d"])).await;
    other.apply(&upstream, set(["a weight=9"])).await;
    one.apply(&upstream, set(["a"])).await;
    check(&upstream, &["hand 1", "a 9"]);
}

#[tokio::test]
async fn a_change_by_hand_stays_until_the_source_has_another() {
    let upstream = upstream();
    let mut found = Found::new("test".to_owned(), None);
    let a = endpoint("a");
    found.apply(&upstream, set(["a weight=2"])).await;
    upstream.set_weight(&a, 5).unwrap();
    upstream.drain(&a).unwrap();
    found.apply(&upstream, set(["a weight=2"])).await;
    check(&upstream, &["hand 1", "a 5 drained"]);
    found.apply(&upstream, set(["a weight=3"])).await;
    check(&upstream, &["hand 1", "a 3 drained"]);

    // One that was taken out is back, one that was put in its place is not the source's.
    upstream.remove(&a).unwrap();
    found.apply(&upstream, set(["a"])).await;
    check(&upstream, &["hand 1", "a 1"]);
    upstream.remove(&a).unwrap();
    upstream.add(EndpointSettings::from(a).weight(7)).unwrap();
    found.apply(&upstream, set(["a"])).await;
    found.apply(&upstream, set(["b"])).await;
    check(&upstream, &["hand 1", "a 7", "b 1"]);
}

#[tokio::test]
async fn a_failure_takes_nothing_away() {
    let upstream = upstream();
    let mut found = Found::new("test".to_owned(), None);
    found.keep(&upstream, "not yet".to_owned());
    check(&upstream, &["hand 1"]);
    found.apply(&upstream, set(["a"])).await;
    found.keep(&upstream, "no more".to_owned());
    check(&upstream, &["hand 1", "a 1"]);
    found.apply(&upstream, set(["b"])).await;
    check(&upstream, &["hand 1", "b 1"]);
}

// ===== the first endpoints =====

#[tokio::test(start_paused = true)]
async fn handshakes_wait_for_the_first_answer() {
    let (changes, upstream) = scripted(Upstream::builder("test"));
    upstream.start();
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut wait = task::spawn(upstream.first_endpoints(deadline));
    let mut discovered = task::spawn(upstream.discovered());
    assert_pending!(wait.poll());
    assert_pending!(discovered.poll());

    changes.send(insert("k", "a")).unwrap();
    tokio::task::yield_now().await;
    assert_ready!(wait.poll());
    assert_ready!(discovered.poll());

    // From then on no more, even when there is none.
    changes.send(Ok(Change::Remove("k"))).unwrap();
    tokio::task::yield_now().await;
    check(&upstream, &[]);
    assert_ready!(task::spawn(upstream.first_endpoints(deadline)).poll());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_past_the_deadline_nor_for_a_failure() {
    let (changes, upstream) = scripted(Upstream::builder("test"));
    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(5);
    upstream.first_endpoints(deadline).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(5));

    changes.send(Err(io::Error::other("broken"))).unwrap();
    upstream.discovered().await;
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn nobody_waits_where_there_is_an_endpoint() {
    let (_changes, upstream) = scripted(Upstream::builder("test").endpoint(endpoint("hand")));
    let deadline = Instant::now() + Duration::from_secs(5);
    assert_ready!(task::spawn(upstream.first_endpoints(deadline)).poll());
    assert_pending!(task::spawn(upstream.discovered()).poll());

    let upstream = Upstream::builder("test").endpoint(endpoint("hand")).build();
    assert_ready!(task::spawn(upstream.unwrap().discovered()).poll());
}

// ===== streams =====

#[tokio::test(start_paused = true)]
async fn a_stream_is_followed() {
    let (changes, upstream) = scripted(Upstream::builder("test").endpoint(endpoint("hand")));
    for (key, line) in [("1", "a"), ("2", "b"), ("3", "c")] {
        changes.send(insert(key, line)).unwrap();
    }
    changes.send(insert("2", "b weight=2")).unwrap();
    changes.send(Ok(Change::Remove("3"))).unwrap();
    changes.send(Ok(Change::Remove("never there"))).unwrap();
    settle().await;
    check_sorted(&upstream, &["a 1", "b 2", "hand 1"]);

    // The same key, another endpoint.
    changes.send(insert("1", "d")).unwrap();
    settle().await;
    check_sorted(&upstream, &["b 2", "d 1", "hand 1"]);

    changes.send(Err(io::Error::other("broken"))).unwrap();
    settle().await;
    check_sorted(&upstream, &["b 2", "d 1", "hand 1"]);

    changes.send(Ok(Change::Remove("2"))).unwrap();
    settle().await;
    check_sorted(&upstream, &["d 1", "hand 1"]);

    changes.send(Ok(Change::Remove("1"))).unwrap();
    drop(changes);
    settle().await;
    check_sorted(&upstream, &["hand 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_only_fails_is_asked_once_a_second() {
    let asked = Arc::new(());
    let failing = stream::repeat_with({
        let asked = Arc::clone(&asked);
        let mut kept = Vec::new();
        move || {
            kept.push(Arc::clone(&asked));
            Err::<Change<u32, EndpointSettings>, _>("broken")
        }
    });
    let upstream = Upstream::builder("test").discover(failing).build().unwrap();
    upstream.discovered().await;
    tokio::time::sleep(Duration::from_millis(9_500)).await;
    // The two that are held here and by the stream are no questions.
    assert_eq!(Arc::strong_count(&asked) - 2, 10);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_always_has_more_is_followed() {
    let endless = stream::iter(0_u64..).map(|n| {
        let line = format!("e{}", n % 3);
        Ok::<_, io::Error>(Change::Insert(n % 3, settings(&line)))
    });
    let upstream = Upstream::builder("test").discover(endless).build().unwrap();
    upstream.discovered().await;
    check_sorted(&upstream, &["e0 1", "e1 1", "e2 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_group() {
    let (changes, upstream) = scripted(Upstream::builder("test"));
    changes.send(insert("k", "a")).unwrap();
    settle().await;
    check(&upstream, &["a 1"]);
    drop(upstream);
    settle().await;
    assert!(changes.is_closed());
}

// ===== helpers =====

type Changes = mpsc::UnboundedSender<io::Result<Change<&'static str, EndpointSettings>>>;

/// A group that follows what is sent.
fn scripted(builder: UpstreamBuilder) -> (Changes, Upstream) {
    let (changes, receiver) = mpsc::unbounded_channel();
    let upstream = builder.discover(streamed(receiver)).build().unwrap();
    (changes, upstream)
}

fn streamed<K: Eq + Send, E>(
    mut receiver: mpsc::UnboundedReceiver<Result<Change<K, EndpointSettings>, E>>,
) -> impl Discover<Key = K, Service = EndpointSettings, Error = E> {
    stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

fn insert(key: &'static str, line: &str) -> io::Result<Change<&'static str, EndpointSettings>> {
    Ok(Change::Insert(key, settings(line)))
}

/// A second, in which the clock does not stand still.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1_500)).await;
}

/// A group with one endpoint of its own.
fn upstream() -> Upstream {
    let builder = Upstream::builder("test").endpoint(endpoint("hand"));
    builder.build().unwrap()
}

fn lease(upstream: &Upstream, host: &str) -> Lease {
    for endpoint in upstream.endpoints() {
        if endpoint.endpoint != self::endpoint(host) {
            upstream.drain(&endpoint.endpoint).unwrap();
        }
    }
    let headers = HeaderMap::new();
    let handshake = Handshake {
        headers: &headers,
        path: "/",
        query: None,
        client: None,
        is_secure: false,
    };
    let lease = upstream.tries().next(&handshake).unwrap();
    for endpoint in upstream.endpoints() {
        upstream.undrain(&endpoint.endpoint).unwrap();
    }
    lease
}

fn endpoint(host: &str) -> crate::Endpoint {
    format!("http://{host}").parse().unwrap()
}

fn set<const N: usize>(lines: [&str; N]) -> Vec<EndpointSettings> {
    lines.map(settings).into()
}

/// As in a file, without the scheme.
fn settings(line: &str) -> EndpointSettings {
    let mut words = line.split(' ');
    let settings = EndpointSettings::from(endpoint(words.next().unwrap()));
    words.fold(settings, |settings, word| match word.split_once('=') {
        Some(("weight", weight)) => settings.weight(weight.parse().unwrap()),
        Some(("max-tunnels", max)) => settings.max_tunnels(max.parse().unwrap()),
        _ => settings.backup(),
    })
}

#[track_caller]
fn check(upstream: &Upstream, expected: &[&str]) {
    assert_eq!(told(upstream), expected);
}

/// Where the order is not the source's to say.
#[track_caller]
fn check_sorted(upstream: &Upstream, expected: &[&str]) {
    let mut told = told(upstream);
    told.sort_unstable();
    assert_eq!(told, expected);
}

fn told(upstream: &Upstream) -> Vec<String> {
    let told = upstream.endpoints().into_iter().map(|e| {
        let name = e.endpoint.to_string();
        let mut told = format!("{} {}", name.trim_start_matches("http://"), e.weight);
        for (is_so, word) in [
            (e.is_backup, " backup".to_owned()),
            (e.is_drained, " drained".to_owned()),
            (e.tunnels > 0, format!(" {} tunnel", e.tunnels)),
        ] {
            if is_so {
                told += &word;
            }
        }
        told
    });
    told.collect()
}
