//! A scan with sslyze, of both streams that can carry connections.

use serde_json::json;
use wsgate::server::{Pem, Tls};
use wsgate_tests::certs::TestCa;
use wsgate_tests::gateway::Gateway;
use wsgate_tests::scan::Scan;
use wsgate_tests::trace;

#[tokio::test]
async fn a_scanner_finds_nothing() {
    let _trace = trace::init();
    for by_tokio_rustls in [false, true] {
        let ca = TestCa::new();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = ca.write(folder.path());
        let leaf = ca.leaf(&["localhost"]);
        let tls = Tls::pem(Pem::bytes(leaf.cert_pem), Pem::bytes(leaf.key_pem));
        let tls = match by_tokio_rustls {
            true => tls.with_tokio_rustls(),
            false => tls,
        };
        let gateway = Gateway::with_tls(axum::Router::new(), ca, tls).await;
        check(&Scan::of(gateway.addr(), &ca_file).await);
        gateway.join().await;
    }
}

fn check(scan: &Scan) {
    for refused in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        assert_eq!(scan.suites(refused), [""; 0], "{refused}");
    }
    assert_eq!(
        scan.suites("tls_1_2"),
        [
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ]
    );
    assert_eq!(
        scan.suites("tls_1_3"),
        [
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ]
    );
    for (name, field, expected) in [
        ("tls_compression", "supports_compression", json!(false)),
        ("tls_1_3_early_data", "supports_early_data", json!(false)),
        (
            "openssl_ccs_injection",
            "is_vulnerable_to_ccs_injection",
            json!(false),
        ),
        ("tls_fallback_scsv", "supports_fallback_scsv", json!(true)),
        ("heartbleed", "is_vulnerable_to_heartbleed", json!(false)),
        (
            "robot",
            "robot_result",
            json!("NOT_VULNERABLE_RSA_NOT_SUPPORTED"),
        ),
        (
            "session_renegotiation",
            "supports_secure_renegotiation",
            json!(true),
        ),
        (
            "session_renegotiation",
            "client_renegotiations_success_count",
            json!(0),
        ),
        // What the server would have to remember. Tickets are resumed in `tickets`: sslyze takes it for a
        // refusal that each resumption comes with a new one.
        (
            "session_resumption",
            "session_id_successful_resumptions_count",
            json!(0),
        ),
        (
            "tls_extended_master_secret",
            "supports_ems_extension",
            json!(true),
        ),
    ] {
        assert_eq!(scan.result(name)[field], expected, "{name}");
    }
    // Of certificates it speaks too, and those of the tests are nobody's.
    let tls: Vec<_> = scan
        .mozilla
        .iter()
        .filter(|(about, _)| !about.contains("certificate"))
        .collect();
    assert_eq!(tls, [], "not Mozilla's intermediate");
}
