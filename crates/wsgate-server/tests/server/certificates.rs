//! Which certificate a client gets, and what is said when none fits.

use rcgen::DistinguishedName;

use crate::support::{Identity, LOOPBACK, Log, bind, connect, hello, trusting};

#[tokio::test]
async fn the_name_selects_the_certificate() {
    let _log = Log::capture();
    let a = Identity::new(&["a.test"]);
    let b = Identity::new(&["b.test", "*.b.test"]);
    let tls = a.tls().and_pem(b.chain(), b.key());
    let running = bind(LOOPBACK).tls(tls).start(hello()).await.unwrap();
    assert_eq!(running.names(), ["a.test", "b.test", "*.b.test"]);

    let client = trusting(&[&a.der, &b.der]);
    for (asked, expected) in [
        ("a.test", &a),
        ("A.TEST", &a),
        ("b.test", &b),
        ("x.b.test", &b),
    ] {
        let stream = connect(running.local_addr(), asked, &client).await.unwrap();
        let certificates = stream.get_ref().1.peer_certificates().unwrap();
        assert_eq!(certificates[0], expected.der, "{asked}");
    }
}

#[tokio::test]
async fn an_unknown_name_gets_the_default_and_is_logged_with_the_names_covered() {
    let log = Log::capture();
    let a = Identity::new(&["a.test"]);
    let b = Identity::new(&["b.test"]);
    let tls = a.tls().and_pem(b.chain(), b.key());
    let running = bind(LOOPBACK).tls(tls).start(hello()).await.unwrap();
    let port = running.local_addr().port();

    // The client does not accept it, which is how we see that it is the default's.
    let client = trusting(&[&a.der, &b.der]);
    let error = connect(running.local_addr(), "c.test", &client)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("a.test"), "{error}");

    let open = format!("open https://a.test:{port} instead");
    let line = log
        .line(&["WARN", "server_name=\"c.test\"", "a.test, b.test", &open])
        .await;
    assert!(line.contains("peer=127.0.0.1:"), "{line}");
    // The handshake that failed for it tells its own part.
    log.line(&[
        "WARN",
        "TLS handshake failed",
        "does not accept this certificate",
    ])
    .await;
}

#[tokio::test]
async fn a_client_that_came_by_address_is_logged_with_the_names_covered() {
    let log = Log::capture();
    let identity = Identity::new(&["example.com"]);
    let running = bind(LOOPBACK)
        .tls(identity.tls())
        .start(hello())
        .await
        .unwrap();

    let client = trusting(&[&identity.der]);
    connect(running.local_addr(), "127.0.0.1", &client)
        .await
        .unwrap_err();

    let line = log
        .line(&["WARN", "sent no server name", "open https://example.com:"])
        .await;
    assert!(line.contains("address=127.0.0.1"), "{line}");
    assert!(line.contains("covered=example.com"), "{line}");
}

#[tokio::test]
async fn a_client_that_came_by_an_address_that_is_covered_is_not_worth_a_word() {
    let log = Log::capture();
    let named = Identity::new(&["example.com"]);
    let numbered = Identity::new(&["127.0.0.1"]);
    let tls = named.tls().and_pem(numbered.chain(), numbered.key());
    let running = bind(LOOPBACK).tls(tls).start(hello()).await.unwrap();

    let client = trusting(&[&numbered.der]);
    connect(running.local_addr(), "127.0.0.1", &client)
        .await
        .unwrap();
    assert!(!log.text().contains("WARN"));
}

#[tokio::test]
async fn a_flood_of_unknown_names_is_logged_a_few_times() {
    let log = Log::capture();
    let identity = Identity::new(&["example.com"]);
    let running = bind(LOOPBACK)
        .tls(identity.tls())
        .start(hello())
        .await
        .unwrap();

    let client = trusting(&[&identity.der]);
    for _ in 0..15 {
        connect(running.local_addr(), "other.test", &client)
            .await
            .unwrap_err();
    }
    let logged = log
        .text()
        .lines()
        .filter(|line| line.contains("other.test"))
        .count();
    assert_eq!(logged, 10);
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_issuer_is_logged_with_a_hint() {
    let log = Log::capture();
    let identity = Identity::new(&["example.com"]);
    let running = bind(LOOPBACK)
        .tls(identity.tls())
        .start(hello())
        .await
        .unwrap();

    let stranger = Identity::with(&["example.com"], |params| {
        params.distinguished_name = DistinguishedName::new();
    });
    let namesake = Identity::new(&["example.com"]);
    for (trusted, hint) in [
        (stranger, "does not trust this certificate"),
        (namesake, "another issuer of the same name"),
    ] {
        let client = trusting(&[&trusted.der]);
        connect(running.local_addr(), "example.com", &client)
            .await
            .unwrap_err();
        log.line(&["WARN", "peer=127.0.0.1:", "TLS handshake failed", hint])
            .await;
    }
}
