//! The handshake over HTTP/1.1, byte by byte.

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{Handshake, Opened, Refused, body};
use crate::io::{Io, read_until};
use crate::{ResponseHead, Role, Tunnel};

pub(super) async fn open(
    mut io: Box<dyn Io>,
    authority: &str,
    handshake: Handshake,
) -> Result<Opened, Refused> {
    let mut request = format!("GET {} HTTP/1.1\r\n", handshake.target);
    if !handshake.has("host") {
        request += &format!("Host: {authority}\r\n");
    }
    for (name, value) in &handshake.fields {
        request += &format!("{name}: {value}\r\n");
    }
    let request = [request.as_bytes(), b"\r\n", &handshake.early].concat();
    let step = if handshake.bytewise { 1 } else { request.len() };
    for segment in request.chunks(step) {
        io.write_all(segment)
            .await
            .expect("the handshake can be sent");
        io.flush().await.expect("the handshake can be sent");
    }

    let mut buffer = BytesMut::new();
    let response = final_head(&mut io, &mut buffer).await;
    if response.status != 101 {
        let body = body::read(&mut io, &mut buffer, &response).await;
        return Err(Refused { response, body });
    }
    if let Some(key) = handshake.value("sec-websocket-key") {
        let accept = response.fields.get("sec-websocket-accept");
        assert_eq!(
            accept,
            Some(derive_accept_key(key.as_bytes()).as_str()),
            "RFC 6455, 4.2.2"
        );
    }
    let tunnel = Tunnel::new(io, buffer, Role::Client);
    Ok(Opened { response, tunnel })
}

pub(super) async fn get(mut io: Box<dyn Io>, authority: &str, path: &str) -> Refused {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    io.write_all(request.as_bytes())
        .await
        .expect("a request can be sent");
    io.flush().await.expect("a request can be sent");
    let mut buffer = BytesMut::new();
    let response = final_head(&mut io, &mut buffer).await;
    let body = body::read(&mut io, &mut buffer, &response).await;
    Refused { response, body }
}

/// The head of the answer that is not informational (RFC 9110, 15.2), except the one that ends HTTP.
async fn final_head(io: &mut Box<dyn Io>, buffer: &mut BytesMut) -> ResponseHead {
    loop {
        let head = read_until(io, buffer, b"\r\n\r\n")
            .await
            .expect("an answer");
        let head = ResponseHead::parse(&head);
        if head.status == 101 || head.status >= 200 {
            return head;
        }
    }
}
