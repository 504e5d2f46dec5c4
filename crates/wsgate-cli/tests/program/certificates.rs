//! Which certificate a client gets.

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream},
};

#[tokio::test]
async fn each_name_gets_its_certificate() {
    let (a, b) = (Identity::new("a.test"), Identity::new("b.test"));
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} {} --route /websocket={}",
        a.args(),
        b.args(),
        upstream.url()
    ));
    let address = wsgate.address().await;

    for (name, identity) in [("a.test", &a), ("b.test", &b)] {
        let asked = Client::new(address, name, &identity.der)
            .reaches("/websocket")
            .await;
        assert_eq!(asked, format!("/websocket {name}:{}", address.port()));
    }
    // Each trusts the one certificate only.
    let mixed = Client::new(address, "a.test", &b.der);
    assert!(mixed.connect().await.is_err());
    wsgate.stop().await;
}
