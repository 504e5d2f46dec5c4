//! What OpenSSL can do and the gateway will not.

use wsgate_tests::gateway::Gateway;
use wsgate_tests::trace;

use super::s_client;

/// Debian's OpenSSL itself has to be told that it may.
const EVERYTHING: &str = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";

async fn gateway() -> Gateway {
    Gateway::serving(axum::Router::new()).await
}

#[tokio::test]
async fn older_versions_than_tls_1_2_are_refused() {
    let _trace = trace::init();
    let gateway = gateway().await;
    for (version, spoken) in [
        ("-tls1", false),
        ("-tls1_1", false),
        ("-tls1_2", true),
        ("-tls1_3", true),
    ] {
        let (ok, said) = s_client(gateway.addr(), &[version, "-cipher", EVERYTHING]).await;
        assert_eq!(ok, spoken, "{version}: {said}");
        // Not for a reason of its own: the gateway says so.
        let alert =
            said.contains("alert protocol version") || said.contains("alert handshake failure");
        assert_eq!(alert, !spoken, "{version}: {said}");
        assert_eq!(
            said.contains("Cipher is (NONE)"),
            !spoken,
            "{version}: {said}"
        );
    }
    gateway.join().await;
}

/// Without forward secrecy, with CBC, RC4, 3DES, no encryption, no authentication, finite fields, SHA-1:
/// all that OpenSSL still has, at once.
#[tokio::test]
async fn weak_suites_are_refused() {
    let _trace = trace::init();
    let gateway = gateway().await;
    let weak = "ALL:COMPLEMENTOFALL:!ECDHE+AESGCM:!ECDHE+CHACHA20:@SECLEVEL=0";
    for (options, spoken) in [
        (&["-cipher", weak][..], false),
        (&["-cipher", "ECDHE+AESGCM"], true),
        (&["-cipher", "ECDHE+CHACHA20"], true),
        (&["-sigalgs", "ECDSA+SHA1", "-cipher", EVERYTHING], false),
        // A curve of 160 bits, and one that few have looked at.
        (&["-curves", "secp256k1", "-cipher", EVERYTHING], false),
    ] {
        let options = [&["-tls1_2"], options].concat();
        let (ok, said) = s_client(gateway.addr(), &options).await;
        assert_eq!(ok, spoken, "{options:?}: {said}");
        let alert = said.contains("alert handshake failure");
        assert_eq!(alert, !spoken, "{options:?}: {said}");
    }
    gateway.join().await;
}

#[tokio::test]
async fn nothing_is_compressed_and_the_master_secret_is_bound() {
    let _trace = trace::init();
    let gateway = gateway().await;
    let options = ["-tls1_2", "-comp", "-cipher", EVERYTHING];
    let (ok, said) = s_client(gateway.addr(), &options).await;
    assert!(ok, "{said}");
    for expected in [
        "Compression: NONE",
        "Secure Renegotiation IS supported",
        "Extended master secret: yes",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    gateway.join().await;
}
