//! Certificates that are read anew while the server runs.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rustls::ClientConfig;
use wsgate_server::{Pem, Running, ServerErrorKind, Tls, rustls};

use crate::support::{
    Identity, LOOPBACK, Log, bind, by, connect, get_root, hello, request, secret, trusting,
};

/// A certificate and a key in files that are written again.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn of(identity: &Identity) -> Self {
        let files = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        files.write(identity);
        files
    }

    fn chain(&self) -> PathBuf {
        self.directory.path().join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    fn write(&self, identity: &Identity) {
        fs::write(self.chain(), &identity.chain).unwrap();
        secret(&self.key(), &identity.key);
    }

    fn tls(&self) -> Tls {
        by(Tls::pem_files(self.chain(), self.key()))
    }
}

fn new() -> (Identity, ClientConfig) {
    let identity = Identity::new(&["localhost"]);
    let client = trusting(&[&identity.der]);
    (identity, client)
}

async fn start(tls: Tls) -> Running {
    bind(LOOPBACK).tls(tls).start(hello()).await.unwrap()
}

#[track_caller]
fn served(answer: io::Result<String>) {
    assert!(answer.unwrap().ends_with("hello"));
}

#[tokio::test]
async fn new_handshakes_get_the_new_certificate_and_open_connections_go_on() {
    let log = Log::capture();
    let ((old, old_client), (new, new_client)) = (new(), new());
    let files = Files::of(&old);
    let running = start(files.tls().without_watching()).await;
    let address = running.local_addr();
    let open = connect(address, "localhost", &old_client).await.unwrap();

    files.write(&new);
    running.reloader().reload().await.unwrap();

    served(get_root(&running, &new_client).await);
    // A new client, as the old one could resume.
    let old_again = trusting(&[&old.der]);
    connect(address, "localhost", &old_again).await.unwrap_err();
    served(request(open, "GET / HTTP/1.1\nhost: localhost\n").await);
    let line = log.line(&["INFO", "read anew, and are in use"]).await;
    assert!(line.contains("names=localhost expires="), "{line}");
}

#[tokio::test]
async fn what_does_not_fit_changes_nothing_and_is_told_by_name() {
    let log = Log::capture();
    let ((old, client), (new, new_client)) = (new(), new());
    let files = Files::of(&old);
    let ca = files.directory.path().join("clients.pem");
    fs::write(&ca, &old.chain).unwrap();
    let tls = files.tls().without_watching();
    let tls = tls.allow_client_certificate(Pem::file(&ca));
    let running = start(tls).await;
    let reloader = running.reloader();

    let (chain, key) = (files.chain(), files.key());
    let gone = files.directory.path().join("gone");
    type Damage<'a> = Box<dyn Fn() + 'a>;
    let damages: [(Damage<'_>, ServerErrorKind, [&str; 2]); 5] = [
        (
            Box::new(|| fs::write(&chain, &new.chain).unwrap()),
            ServerErrorKind::Certificate,
            [
                "does not belong to the private key",
                chain.to_str().unwrap(),
            ],
        ),
        (
            Box::new(|| fs::write(&chain, &new.chain[..new.chain.len() / 2]).unwrap()),
            ServerErrorKind::Certificate,
            ["cut short", chain.to_str().unwrap()],
        ),
        (
            Box::new(|| fs::write(&key, "").unwrap()),
            ServerErrorKind::Key,
            ["is empty", key.to_str().unwrap()],
        ),
        (
            Box::new(|| fs::rename(&key, &gone).unwrap()),
            ServerErrorKind::Key,
            ["no such file", key.to_str().unwrap()],
        ),
        (
            Box::new(|| fs::write(&ca, "none").unwrap()),
            ServerErrorKind::Certificate,
            ["no CERTIFICATE section", ca.to_str().unwrap()],
        ),
    ];
    for (damage, kind, words) in damages {
        files.write(&old);
        damage();
        let error = reloader.reload().await.unwrap_err();
        assert_eq!(error.kind(), kind);
        for word in words {
            assert!(error.to_string().contains(word), "{error}");
            log.line(&["ERROR", "those from before stay in use", word])
                .await;
        }
        // With a whole handshake.
        served(get_root(&running, &trusting(&[&old.der])).await);
    }

    files.write(&new);
    fs::write(&ca, &new.chain).unwrap();
    reloader.reload().await.unwrap();
    served(get_root(&running, &new_client).await);
    drop(client);
}

#[tokio::test]
async fn files_that_change_are_noticed_and_those_half_written_waited_for() {
    let log = Log::capture();
    let ((old, _), (new, new_client)) = (new(), new());
    let files = Files::of(&old);
    let running = start(files.tls().watch_every(Duration::from_millis(10))).await;

    fs::write(files.chain(), &new.chain).unwrap();
    log.line(&["ERROR", "those from before stay in use"]).await;
    served(get_root(&running, &trusting(&[&old.der])).await);

    files.write(&new);
    log.line(&["INFO", "read anew, and are in use"]).await;
    served(get_root(&running, &new_client).await);
}

/// Whoever writes when it is looked at gets the time to come to an end.
#[tokio::test(start_paused = true)]
async fn what_is_being_written_is_read_when_it_is_whole() {
    let log = Log::capture();
    let ((old, _), (new, _)) = (new(), new());
    let files = Files::of(&old);
    let second = Duration::from_secs(1);
    let _running = start(files.tls().watch_every(second)).await;
    tokio::time::sleep(second * 9 / 10).await;
    fs::write(files.chain(), &new.chain[..new.chain.len() / 2]).unwrap();
    // It is looked at once more after a tenth.
    tokio::time::sleep(second * 3 / 20).await;
    files.write(&new);
    tokio::time::sleep(second * 10).await;
    assert!(!log.text().contains("ERROR"), "{}", log.text());
    assert_eq!(log.text().matches("read anew, and are in use").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_change_is_told_once_however_often_it_is_looked_at() {
    let log = Log::capture();
    let (identity, _) = new();
    let files = Files::of(&identity);
    // Which it is, unless one says otherwise.
    let _running = start(files.tls()).await;
    let told = |words: &str| log.text().matches(words).count();
    let hour = Duration::from_secs(60 * 60);
    tokio::time::sleep(hour).await;
    assert_eq!(told("read anew"), 0);
    fs::write(files.key(), "").unwrap();
    tokio::time::sleep(hour).await;
    assert_eq!(told("cannot be read anew"), 1);
    files.write(&identity);
    tokio::time::sleep(hour).await;
    assert_eq!(told("read anew, and are in use"), 1);
}

/// A renewal that failed was told at the start, months ago.
#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_about_to_expire_is_told_each_day() {
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    for (end, words) in [
        (now + 5 * day, "the certificate expires soon"),
        (now - day, "the certificate has expired"),
    ] {
        let log = Log::capture();
        let identity = Identity::with(&["localhost"], |params| params.not_after = end.into());
        let tls = identity.tls().watch_every(Duration::from_secs(60 * 60));
        let _running = start(tls).await;
        let told = || log.text().matches(words).count();
        assert_eq!(told(), 1, "{}", log.text());
        tokio::time::sleep(day / 2).await;
        assert_eq!(told(), 1);
        tokio::time::sleep(2 * day).await;
        assert_eq!(told(), 3);
    }
}

#[tokio::test]
async fn what_cannot_be_read_anew_says_so() {
    let _log = Log::capture();
    let plain = bind(LOOPBACK).start(hello()).await.unwrap();
    let error = plain.reloader().reload().await.unwrap_err();
    assert!(error.to_string().contains("has no TLS"), "{error}");

    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(
            rustls::server::ResolvesServerCertUsingSni::new(),
        ));
    let own = start(by(Tls::config(config.into()))).await;
    let error = own.reloader().reload().await.unwrap_err();
    assert!(error.to_string().contains("ServerConfig"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_that_others_may_read_is_warned_of_at_each_reading() {
    use std::os::unix::fs::PermissionsExt as _;

    let log = Log::capture();
    let (identity, _) = new();
    let files = Files::of(&identity);
    let running = start(files.tls().without_watching()).await;
    assert!(!log.text().contains("WARN"), "{}", log.text());

    fs::set_permissions(files.key(), fs::Permissions::from_mode(0o644)).unwrap();
    running.reloader().reload().await.unwrap();
    let command = format!("`chmod 600 {}`", files.key().display());
    log.line(&["WARN", "mode 0644", &command]).await;
    start(files.tls()).await;
    assert_eq!(log.text().matches(&command).count(), 2);
}
