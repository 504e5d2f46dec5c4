//! New keys on the way (RFC 8446 4.6.3).

use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsgate_tls::rustls;

use crate::support::{House, KINDS, Kind, Peer, connected, pattern};
use crate::wire::Wire;

/// A server whose keys are worn out after this many records.
fn short_lived(house: &House, records: u64) -> ServerConfig {
    let common = |common: &CipherSuiteCommon| CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: records,
    };
    let SupportedCipherSuite::Tls13(tls13) = TLS13_AES_128_GCM_SHA256 else {
        panic!("it is of TLS 1.3 by its name");
    };
    let SupportedCipherSuite::Tls12(tls12) = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 else {
        panic!("it is of TLS 1.2 by its name");
    };
    let tls13 = Tls13CipherSuite {
        common: common(&tls13.common),
        hkdf_provider: tls13.hkdf_provider,
        aead_alg: tls13.aead_alg,
        quic: None,
    };
    let tls12 = Tls12CipherSuite {
        common: common(&tls12.common),
        prf_provider: tls12.prf_provider,
        kx: tls12.kx,
        sign: tls12.sign,
        aead_alg: tls12.aead_alg,
    };
    let mut provider = default_provider();
    provider.cipher_suites = vec![
        SupportedCipherSuite::Tls13(Box::leak(Box::new(tls13))),
        SupportedCipherSuite::Tls12(Box::leak(Box::new(tls12))),
    ];
    house.server_by(provider)
}

#[tokio::test]
async fn the_client_may_change_keys_at_any_time() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        for round in 1..=40 {
            peer.tls.refresh_traffic_keys().unwrap();
            peer.send(b"ping");
            let mut buffer = [0; 4];
            served.read_exact(&mut buffer).await.unwrap();
            // The answer's keys are new as well, as the client has asked.
            served.write_all(&buffer).await.unwrap();
            peer.listen().unwrap();
            assert_eq!(peer.received, b"ping".repeat(round), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_key_update_alone_leaves_the_reader_waiting() {
    let house = House::new();
    for kind in KINDS {
        let (mut served, mut peer) = connected(kind, &house, house.client()).await;
        peer.tls.refresh_traffic_keys().unwrap();
        peer.send(b"");
        let mut buffer = [0; 8];
        let mut reading = tokio_test::task::spawn(served.read(&mut buffer));
        tokio_test::assert_pending!(reading.poll());
        peer.send(b"hello");
        assert!(reading.is_woken());
        assert_eq!(tokio_test::assert_ready_ok!(reading.poll()), 5, "{kind:?}");
    }
}

#[tokio::test]
async fn worn_out_keys_are_changed_in_time() {
    let house = House::new();
    let plain = pattern(1_000_000);
    for kind in KINDS {
        let mut peer = Peer::new(house.client_of(&TLS13), Wire::default());
        let mut served = peer.shake(kind, short_lived(&house, 10)).await.unwrap();
        peer.listen().unwrap();
        for part in plain.chunks(50_000) {
            served.write_all(part).await.unwrap();
            served.flush().await.unwrap();
            // The client's updates in return.
            peer.listen().unwrap();
            peer.send(b"x");
            let mut buffer = [0; 8];
            assert_eq!(served.read(&mut buffer).await.unwrap(), 1);
        }
        assert!(peer.received == plain, "{kind:?}");
    }
}

/// tokio-rustls swallows what is written from then on.
#[tokio::test]
async fn tls12_cannot_change_keys_and_ends_in_good_order() {
    let house = House::new();
    let mut peer = Peer::new(house.client_of(&TLS12), Wire::default());
    let config = short_lived(&house, 10);
    let mut served = peer.shake(Kind::TlsStream, config).await.unwrap();
    let mut written = 0;
    let error = loop {
        match served.write(b"hello").await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!((5..10).contains(&written), "{written}");
    assert_eq!(error.to_string(), "cannot encrypt message");
    served.write(b"hello").await.unwrap_err();
    served.shutdown().await.unwrap();
    peer.listen().unwrap();
    assert_eq!(peer.received, b"hello".repeat(written));
    assert!(peer.has_closed());
}
