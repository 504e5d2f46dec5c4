//! Certificates that are read anew, and the clients that they are checked by.

use std::{fs, sync::Arc};

use futures_util::SinkExt;
use rustls::{ClientConfig, crypto::aws_lc_rs::default_provider};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream, hear, roots, secret},
};

/// Puts another certificate in the place of one, its key first.
fn renew(identity: &Identity) -> Identity {
    let new = Identity::new("localhost");
    secret(&identity.key(), &fs::read_to_string(new.key()).unwrap());
    fs::copy(new.chain(), identity.chain()).unwrap();
    new
}

#[tokio::test]
async fn a_hangup_has_them_read_and_open_websockets_go_on() {
    let old = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --cert-check off --workers 2 --route /websocket={}",
        old.args(),
        upstream.url()
    ));
    let address = wsgate.address().await;
    let client = |identity: &Identity| Client::new(address, "localhost", &identity.der);
    let mut open = client(&old).open("/websocket", None).await.unwrap();
    hear(&mut open).await;

    let new = renew(&old);
    wsgate.signal("-HUP").await;
    wsgate.logs("read anew, and are in use").await;
    client(&new).reaches("/websocket").await;
    assert!(client(&old).connect().await.is_err());
    open.send(Message::text("still here")).await.unwrap();
    assert_eq!(hear(&mut open).await, "still here");

    fs::write(old.chain(), "damaged").unwrap();
    wsgate.signal("-HUP").await;
    let told = wsgate.logs("those from before stay in use").await;
    assert!(told.contains("ERROR"), "{told}");
    assert!(told.contains(old.chain().to_str().unwrap()), "{told}");
    client(&new).reaches("/websocket").await;
    // Else the drain waits for it.
    drop(open);
    wsgate.stop().await;
}

#[tokio::test]
async fn files_that_change_need_no_signal() {
    let old = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --cert-check 10ms --route /websocket={}",
        old.args(),
        upstream.url()
    ));
    let address = wsgate.address().await;
    let new = renew(&old);
    wsgate.logs("read anew, and are in use").await;
    let client = Client::new(address, "localhost", &new.der);
    client.reaches("/websocket").await;
    wsgate.stop().await;
}

/// A service manager may send one to whoever is there, and a terminal that is closed does.
#[tokio::test]
async fn a_hangup_ends_nothing_where_there_is_nothing_to_read() {
    let upstream = Upstream::start().await;
    let url = upstream.url();
    for (line, told) in [
        (format!("--plain --route /a={url}"), "has no TLS"),
        (format!("dev --route /a={url}"), "read anew, and are in use"),
    ] {
        let line = match line.strip_prefix("dev ") {
            Some(rest) => format!("dev --listen {ANYWHERE} {rest}"),
            None => format!("--listen {ANYWHERE} {line}"),
        };
        let mut wsgate = Program::start(&line);
        wsgate.address().await;
        wsgate.signal("-HUP").await;
        wsgate.logs(told).await;
        wsgate.stop().await;
    }
}

#[tokio::test]
async fn only_clients_of_the_ca_are_let_in() {
    let (server, known, stranger) = (
        Identity::new("localhost"),
        Identity::new("client.test"),
        Identity::new("client.test"),
    );
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --client-ca {} --route /a=http://127.0.0.1:9",
        server.args(),
        known.chain().display()
    ));
    let address = wsgate.address().await;
    let visit = async |identity: Option<&Identity>| {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots(&server.der));
        let config = match identity {
            Some(identity) => {
                let key = identity.key.serialize_der().try_into().unwrap();
                let chain = vec![identity.der.clone()];
                builder.with_client_auth_cert(chain, key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        get_from(connector.connect(name, stream).await?).await
    };
    for is_reloaded in [false, true] {
        if is_reloaded {
            wsgate.signal("-HUP").await;
            wsgate.logs("read anew, and are in use").await;
        }
        assert!(visit(Some(&known)).await.unwrap().starts_with("HTTP/1.1 "));
        for refused in [None, Some(&stranger)] {
            visit(refused).await.unwrap_err();
        }
    }
    wsgate.logs("brought no certificate").await;
    wsgate
        .logs("signed by the CA that is set for clients")
        .await;
    wsgate.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn secrets_that_others_may_read_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;

    let (server, client) = (Identity::new("localhost"), Identity::new("client.test"));
    let directory = tempfile::tempdir().unwrap();
    let sticky = directory.path().join("sticky.key");
    fs::write(&sticky, [7; 32]).unwrap();
    let files = [server.key(), client.key(), sticky.clone()];
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        for file in &files {
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut wsgate = Program::start(&format!(
            "--listen {ANYWHERE} {} --route /a=https://127.0.0.1:9,https://127.0.0.1:8 \
             --upstream-ca {} --upstream-cert {} --upstream-key {} \
             --balance sticky-cookie --sticky-key {}",
            server.args(),
            client.chain().display(),
            client.chain().display(),
            client.key().display(),
            sticky.display(),
        ));
        wsgate.address().await;
        wsgate.stop().await;
        for file in &files {
            let command = format!("`chmod 600 {}`", file.display());
            let said = wsgate.stderr();
            assert_eq!(said.contains(&command), warned, "{mode:o}: {said}");
        }
    }
}

/// The whole answer to an ordinary request; in TLS 1.3 the client hears here that it is refused.
async fn get_from<T>(mut stream: T) -> std::io::Result<String>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let head = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
