//! What keeps the program from starting, in one line.

use std::net::TcpListener;

use crate::{
    process::Program,
    support::{ANYWHERE, Identity},
};

/// The one line on stderr with which it refuses to start.
async fn fails(line: &str, environment: &[(&str, &str)]) -> String {
    let mut wsgate = Program::start_with(line, environment);
    assert_eq!(wsgate.line().await, None, "{line}");
    let code = wsgate.ended().await.code();
    let said = wsgate.stderr();
    assert_eq!(code, Some(2), "{line}: {said}");
    assert_eq!(said.lines().count(), 1, "{line}: {said}");
    said
}

#[tokio::test]
async fn an_error_is_one_line() {
    let identity = Identity::new("localhost");
    let other = Identity::new("localhost");
    let (chain, key) = (identity.chain(), identity.key());
    let (chain, key) = (chain.display(), key.display());
    let listen = format!("--listen {ANYWHERE}");
    let route = "--route /a=http://127.0.0.1:9000";
    let taken = TcpListener::bind(ANYWHERE).unwrap();
    let taken = taken.local_addr().unwrap();

    for (line, expected) in [
        (
            format!("--listen {taken} {} {route}", identity.args()),
            &["cannot listen on", "in use"][..],
        ),
        (
            format!(
                "{listen} --redirect-http {taken} {} {route}",
                identity.args()
            ),
            &["cannot listen on", "in use"],
        ),
        (
            format!("{listen} --cert none.pem --key {key} {route}"),
            &["none.pem", "there is no such file"],
        ),
        (
            format!("{listen} --cert {chain} --key none.key {route}"),
            &["none.key", "there is no such file"],
        ),
        (
            format!("{listen} --cert {key} --key {chain} {route}"),
            &["in each other's place"],
        ),
        (
            format!(
                "{listen} --cert {chain} --key {} {route}",
                other.key().display()
            ),
            &["does not belong to the private key"],
        ),
        (
            format!("{listen} {route}"),
            &["--cert", "--plain", "wsgate dev"],
        ),
        (
            format!("{listen} {} --cert {chain} {route}", identity.args()),
            &["2 --cert and 1 --key"],
        ),
        (
            format!("{listen} --plain --route /a=ftp://b"),
            &["--route /a=ftp://b", "is no endpoint"],
        ),
        (
            format!("{listen} --plain {route} --route /a=http://127.0.0.1:9001"),
            &["two --route for /a"],
        ),
        (
            format!("{listen} --plain --route /a=https://b --upstream-ca {key}"),
            &["--upstream-ca", "holds no certificate"],
        ),
        (
            format!("dev --listen {taken} {route}"),
            &["cannot listen on", "in use"],
        ),
    ] {
        // The development CA is made before, and said so.
        let said = fails(&line, &[("RUST_LOG", "warn")]).await;
        assert!(said.starts_with("wsgate: "), "{said}");
        for words in expected {
            assert!(said.contains(words), "{line}: {said}");
        }
    }
}

#[tokio::test]
async fn an_environment_that_makes_no_sense_is_named() {
    let said = fails("dev --how-to-trust", &[("RUST_LOG", "wsgate=loud")]).await;
    assert!(
        said.starts_with("wsgate: ") && said.contains("RUST_LOG"),
        "{said}"
    );
}

#[tokio::test]
async fn a_usage_error_is_2_as_well() {
    for line in ["", "--nonsense", "--listen nowhere", "dev --cert a.pem"] {
        let mut wsgate = Program::start(line);
        assert_eq!(wsgate.line().await, None, "{line}");
        assert_eq!(wsgate.ended().await.code(), Some(2), "{line}");
        assert!(wsgate.stderr().contains("--help"), "{line}");
    }
}

#[tokio::test]
async fn the_version_is_told() {
    let mut wsgate = Program::start("--version");
    let version = concat!("wsgate ", env!("CARGO_PKG_VERSION"));
    assert_eq!(wsgate.line().await.as_deref(), Some(version));
    assert_eq!(wsgate.ended().await.code(), Some(0));
}
