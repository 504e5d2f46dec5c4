//! What settings come to.

use super::*;

fn pair(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn tls(chain: &str, key: &str) -> Tls {
    Tls::pem(Pem::bytes(chain), Pem::bytes(key))
}

fn own_config() -> Arc<ServerConfig> {
    let (chain, key) = pair("own.test");
    tls(&chain, &key).load().unwrap().config
}

#[track_caller]
fn refuses(tls: Tls, kind: ServerErrorKind, text: &str) {
    let error = tls.load().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn the_order_of_protocols_is_http2_first() {
    let (chain, key) = pair("a.test");
    let both = tls(&chain, &key).load().unwrap().config;
    assert_eq!(both.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    let narrow = tls(&chain, &key).without_http2().load().unwrap().config;
    assert_eq!(narrow.alpn_protocols, [b"http/1.1".to_vec()]);
}

#[test]
fn an_own_config_gets_alpn_only_when_it_has_none() {
    let with = |protocols: &[&[u8]]| {
        let mut config = (*own_config()).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Tls::config(Arc::new(config))
    };
    let alpn = |tls: Tls| tls.load().unwrap().config.alpn_protocols.clone();

    assert_eq!(alpn(with(&[])), [b"h2".to_vec(), b"http/1.1".to_vec()]);
    assert_eq!(alpn(with(&[b"x"])), [b"x".to_vec()]);
    assert_eq!(alpn(with(&[b"h2", b"x"]).without_http2()), [b"x".to_vec()]);
}

#[test]
fn early_data_is_refused() {
    let mut config = (*own_config()).clone();
    config.max_early_data_size = 1000;
    let loaded = Tls::config(Arc::new(config)).load().unwrap();
    assert_eq!(loaded.config.max_early_data_size, 0);
}

#[test]
fn an_own_config_is_complete() {
    let (chain, key) = pair("a.test");
    let own = || Tls::config(own_config());
    let kind = ServerErrorKind::Configuration;

    refuses(
        own().and_pem(Pem::bytes(chain.as_str()), Pem::bytes(key)),
        kind,
        "no further certificates",
    );
    refuses(
        own().require_client_certificate(Pem::bytes(chain)),
        kind,
        "verifier",
    );
}
