//! The log of a test.

use tracing::{info, info_span, warn};
use wsgate_tests::trace;

#[tokio::test]
async fn events_are_kept_with_the_fields_of_their_spans() {
    let trace = trace::init();
    let tunnel = info_span!(
        "tunnel",
        client = "10.0.0.1",
        endpoint = tracing::field::Empty
    );
    tunnel.record("endpoint", "backend:9000");
    tunnel.in_scope(
        || warn!(code = 1001, took = ?std::time::Duration::from_secs(2), "tunnel closed"),
    );
    info!("something else");

    let found = trace.find("closed");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].level, tracing::Level::WARN);
    assert_eq!(found[0].message, "tunnel closed");
    assert_eq!(found[0].spans, ["tunnel"]);
    assert_eq!(found[0].field("client"), "10.0.0.1");
    assert_eq!(found[0].field("endpoint"), "backend:9000");
    assert_eq!(found[0].field("code"), "1001");
    assert_eq!(found[0].field("took"), "2s");
    assert_eq!(trace.events().len(), 2);
}

#[tokio::test]
async fn each_test_has_its_own_log() {
    let trace = trace::init();
    // In a task of this test it is this log, in another thread it is not.
    tokio::spawn(async { info!("mine") }).await.unwrap();
    std::thread::spawn(|| info!("not mine")).join().unwrap();
    let events = trace.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].message, "mine");
}
