//! `wsgate dev`.

use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Upstream},
};

#[tokio::test]
async fn localhost_is_served_with_a_certificate_that_is_kept() {
    let data = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await;
    let mut first = None;
    for _ in 0..2 {
        let mut wsgate = Program::start(&format!(
            "dev --listen {ANYWHERE} --data-dir {} --route /websocket={}",
            data.path().display(),
            upstream.url()
        ));
        let url = wsgate.says("listening").await;
        let port = url.strip_prefix("https://localhost:").unwrap();
        let address = ([127, 0, 0, 1], port.parse().unwrap()).into();
        wsgate.says("route").await;
        let told = wsgate.says("certificate").await;
        let file = data.path().join("ca.pem");
        assert!(told.ends_with(file.to_str().unwrap()), "{told}");

        let ca = CertificateDer::from_pem_file(file).unwrap();
        let client = Client::new(address, "localhost", &ca);
        let asked = client.reaches("/websocket").await;
        assert_eq!(asked, format!("/websocket localhost:{port}"));
        assert_eq!(*first.get_or_insert(ca.clone()), ca);
        wsgate.stop().await;
    }
}

#[tokio::test]
async fn the_ca_is_in_the_users_data_directory() {
    let mut wsgate = Program::start(&format!(
        "dev --listen {ANYWHERE} --route /a=http://127.0.0.1:9"
    ));
    wsgate.address().await;
    let file = wsgate.data().join("wsgate/development-ca/ca.pem");
    assert!(file.exists());
    wsgate.stop().await;
}

#[tokio::test]
async fn how_to_trust_the_ca_is_told_before_it_is_used() {
    let mut wsgate = Program::start("dev --how-to-trust");
    let mut said = String::new();
    while let Some(line) = wsgate.line().await {
        said = format!("{said}{line}\n");
    }
    assert_eq!(wsgate.ended().await.code(), Some(0));
    let file = wsgate.data().join("wsgate/development-ca/ca.pem");
    assert!(said.contains(file.to_str().unwrap()), "{said}");
    assert!(file.exists());
}
