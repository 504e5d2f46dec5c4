//! The development certificate, as a client that trusts only its CA sees it.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::TcpListener;
use wsgate_server::{DevelopmentCa, Running, Tls, rustls};

use crate::support::{LOOPBACK, Log, bind, by, connect, hello, trusting};

async fn start(ca: &DevelopmentCa, address: impl Into<std::net::SocketAddr>) -> Running {
    let tls = by(Tls::development_with(ca.clone()));
    bind(address).tls(tls).start(hello()).await.unwrap()
}

#[tokio::test]
async fn is_trusted_by_a_client_that_trusts_only_the_ca_and_is_kept_between_runs() {
    let log = Log::capture();
    let directory = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::in_directory(directory.path().join("ca"));

    let first = start(&ca, LOOPBACK).await;
    log.line(&["INFO", "made a development CA", "ca.pem"]).await;
    assert!(
        first.url().starts_with("https://localhost:"),
        "{}",
        first.url()
    );
    let root = CertificateDer::from_pem_file(ca.location()).unwrap();
    let client = trusting(&[&root]);
    for name in ["localhost", "127.0.0.1"] {
        connect(first.local_addr(), name, &client).await.unwrap();
    }
    drop(first);

    let second = start(&ca, LOOPBACK).await;
    connect(second.local_addr(), "localhost", &client)
        .await
        .unwrap();
    assert_eq!(log.text().matches("made a development CA").count(), 1);
    assert!(!log.text().contains("WARN"));
}

/// The CA cannot be read or made anew then; the one in memory signs on.
#[tokio::test]
async fn goes_on_without_its_directory() {
    let log = Log::capture();
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("ca");
    let ca = DevelopmentCa::in_directory(&place);
    let running = start(&ca, LOOPBACK).await;
    let root = CertificateDer::from_pem_file(ca.location()).unwrap();
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "no directory").unwrap();

    running.reloader().reload().await.unwrap_err();
    log.line(&["ERROR", "those from before stay in use", "ca-key.pem"])
        .await;
    let client = trusting(&[&root]);
    connect(running.local_addr(), "localhost", &client)
        .await
        .unwrap();
}

#[tokio::test]
async fn is_trusted_over_ipv6() {
    let _log = Log::capture();
    let loopback = ([0, 0, 0, 0, 0, 0, 0, 1], 0);
    if TcpListener::bind(std::net::SocketAddr::from(loopback))
        .await
        .is_err()
    {
        eprintln!("skipped: this machine has no ::1");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::in_directory(directory.path());

    let running = start(&ca, loopback).await;

    let root = CertificateDer::from_pem_slice(ca.pem().unwrap().as_bytes()).unwrap();
    connect(running.local_addr(), "::1", &trusting(&[&root]))
        .await
        .unwrap();
}

#[tokio::test]
async fn servers_that_start_together_share_one_ca() {
    let _log = Log::capture();
    let directory = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::in_directory(directory.path().join("ca"));

    let servers = tokio::join!(
        start(&ca, LOOPBACK),
        start(&ca, LOOPBACK),
        start(&ca, LOOPBACK),
        start(&ca, LOOPBACK),
    );

    let root = CertificateDer::from_pem_file(ca.location()).unwrap();
    let client = trusting(&[&root]);
    let (a, b, c, d) = &servers;
    for server in [a, b, c, d] {
        connect(server.local_addr(), "localhost", &client)
            .await
            .unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_is_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::in_directory(directory.path().join("ca"));
    ca.pem().unwrap();

    let mut private = 0;
    for entry in std::fs::read_dir(directory.path().join("ca")).unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_to_string(&path)
            .unwrap()
            .contains("PRIVATE KEY")
        {
            private += 1;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
    }
    assert_eq!(private, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_others_may_read_is_warned_of_at_each_start() {
    use std::os::unix::fs::PermissionsExt as _;

    let log = Log::capture();
    let directory = tempfile::tempdir().unwrap();
    let ca = DevelopmentCa::in_directory(directory.path());
    start(&ca, LOOPBACK).await;
    assert!(!log.text().contains("WARN"), "{}", log.text());

    let key = directory.path().join("ca-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let command = format!("`chmod 600 {}`", key.display());
    for starts in 1..=2 {
        start(&ca, LOOPBACK).await;
        log.line(&["WARN", "mode 0644", &command]).await;
        assert_eq!(log.text().matches(&command).count(), starts);
    }
}

#[test]
fn the_instructions_name_the_certificate() {
    let ca = DevelopmentCa::in_directory("/somewhere");
    assert!(ca.trust_instructions().contains("/somewhere/ca.pem"));
}
