//! Several names at one gateway, the proxy behind them all.

use wsgate::server::Pem;
use wsgate_tests::certs::TestCa;
use wsgate_tests::gateway::{self, Gateway};
use wsgate_tests::trace;
use wsgate_tests::upstream::{Upstream, script};

use super::{converse, proxy, tls};

/// A client checks that the certificate is for the name that it asked for.
#[tokio::test]
async fn each_name_has_its_certificate() {
    let trace = trace::init();
    let ca = TestCa::new();
    let [first, second, third] = [
        &["a.example", "www.a.example"][..],
        &["*.b.example"],
        &["127.0.0.1"],
    ]
    .map(|names| ca.leaf(names));
    let pem = |text: &str| Pem::bytes(text);
    let tls = tls(&first)
        .and_pem(pem(&second.cert_pem), pem(&second.key_pem))
        .and_pem(pem(&third.cert_pem), pem(&third.key_pem));
    let upstream = Upstream::tcp(script::echo()).await;
    let gateway = Gateway::with_tls(gateway::app(proxy(upstream.addr())), ca, tls).await;

    let names = ["a.example", "www.a.example", "chat.b.example", "127.0.0.1"];
    for name in names {
        converse(&gateway.target().named(name)).await;
    }
    for name in ["b.example", "x.chat.b.example", "other.example"] {
        let stranger = gateway.target().named(name);
        let error = stranger.try_connect(&["h2"]).await.unwrap_err();
        assert!(error.to_string().contains("not valid for name"), "{error}");
    }
    gateway.join().await;

    let hosts = upstream.ended(2 * names.len()).await.into_iter();
    let hosts: Vec<_> = hosts
        .map(|seen| {
            seen.request()
                .fields
                .get("x-forwarded-host")
                .unwrap()
                .to_owned()
        })
        .collect();
    for (hosts, name) in hosts.chunks(2).zip(names) {
        assert!(
            hosts
                .iter()
                .all(|host| host.starts_with(&format!("{name}:"))),
            "{hosts:?}"
        );
    }
    let asked = trace.find("asked for a name that no certificate covers");
    let asked: Vec<_> = asked
        .iter()
        .map(|event| event.field("server_name"))
        .collect();
    assert_eq!(asked, ["b.example", "x.chat.b.example", "other.example"]);
}
