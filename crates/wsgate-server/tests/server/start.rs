//! What keeps a server from starting, in words.

use std::error::Error as _;
use std::io;

use tokio::net::TcpListener;
use wsgate_server::{Server, ServerError, ServerErrorKind, Tls};

use crate::support::{Identity, LOOPBACK, Log, bind, hello};

async fn fails(server: Server) -> ServerError {
    server.start(hello()).await.expect_err("an error")
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let _log = Log::capture();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();

    let error = fails(bind(address)).await;

    assert_eq!(error.kind(), ServerErrorKind::AddressInUse);
    let text = format!("cannot listen on {address}: the port is in use by another program");
    assert!(error.to_string().starts_with(&text), "{error}");
    let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(cause.kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_redirect_port_in_use_leaves_nothing_listening() {
    let _log = Log::capture();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let identity = Identity::new(&["localhost"]);

    let server = bind(free).tls(identity.tls());
    let error = fails(server.redirect_http(other.local_addr().unwrap())).await;

    assert_eq!(error.kind(), ServerErrorKind::AddressInUse);
    TcpListener::bind(free).await.unwrap();
}

#[tokio::test]
async fn files_that_do_not_fit_together_are_named() {
    let _log = Log::capture();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (a, b) = (Identity::new(&["a.test"]), Identity::new(&["b.test"]));
    std::fs::write(path("a.pem"), &a.chain).unwrap();
    std::fs::write(path("b.key"), &b.key).unwrap();
    let fails = |chain, key| fails(bind(LOOPBACK).tls(Tls::pem_files(path(chain), path(key))));

    let mismatch = fails("a.pem", "b.key").await;
    assert_eq!(mismatch.kind(), ServerErrorKind::Certificate);
    let text = mismatch.to_string();
    for word in ["a.pem", "b.key", "does not belong to the private key"] {
        assert!(text.contains(word), "{text}");
    }

    let missing = fails("none.pem", "b.key").await;
    assert_eq!(missing.kind(), ServerErrorKind::Certificate);
    assert!(
        missing
            .to_string()
            .contains("none.pem: there is no such file"),
        "{missing}"
    );

    let swapped = fails("b.key", "a.pem").await;
    assert!(
        swapped.to_string().contains("in each other's place"),
        "{swapped}"
    );

    let missing = fails("a.pem", "none.key").await;
    assert_eq!(missing.kind(), ServerErrorKind::Key);
}

#[tokio::test]
async fn a_certificate_that_clients_will_refuse_is_warned_of() {
    let log = Log::capture();
    let expired = Identity::with(&["a.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let early = Identity::with(&["b.test"], |params| {
        params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    });
    let nameless = Identity::new(&[]);
    let tls = expired
        .tls()
        .and_pem(early.chain(), early.key())
        .and_pem(nameless.chain(), nameless.key());

    let _running = bind(LOOPBACK).tls(tls).start(hello()).await.unwrap();

    log.line(&["WARN", "has expired"]).await;
    log.line(&["WARN", "not valid yet"]).await;
    log.line(&["WARN", "names no host"]).await;
}

#[tokio::test]
async fn tells_where_it_listens() {
    let log = Log::capture();
    let identity = Identity::new(&["a.test", "*.a.test"]);
    let running = bind(LOOPBACK)
        .tls(identity.tls())
        .start(hello())
        .await
        .unwrap();
    log.line(&["INFO", "listening", running.url(), "names=a.test *.a.test"])
        .await;
}
