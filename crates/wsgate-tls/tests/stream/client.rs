//! The client's end.

use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, ClientConfig, Error as TlsError, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wsgate_tls::{TlsStream, rustls};

use crate::support::{House, KINDS, Kind, Served, VERSIONS, pattern, tls_error};

/// Every server with every client.
const ENDS: [[Kind; 2]; 4] = [
    [KINDS[0], KINDS[0]],
    [KINDS[0], KINDS[1]],
    [KINDS[1], KINDS[0]],
    [KINDS[1], KINDS[1]],
];

async fn meet(
    [server, client]: [Kind; 2],
    accepting: &Arc<ServerConfig>,
    connecting: &Arc<ClientConfig>,
) -> [io::Result<Served>; 2] {
    let (near, far) = duplex(0x1_0000);
    let accepted = server.accept(far, Arc::clone(accepting));
    let connected = client.connect(near, Arc::clone(connecting));
    let (accepted, connected) = tokio::join!(accepted, connected);
    [accepted, connected]
}

/// Sends a megabyte there and back, and ends it in good order.
async fn converse(mut served: Served, mut client: Served) {
    let plain = pattern(1_000_000);
    let echo = async {
        let mut buffer = vec![0; 0x1_0000];
        loop {
            match served.read(&mut buffer).await.unwrap() {
                0 => break,
                count => served.write_all(&buffer[..count]).await.unwrap(),
            }
            served.flush().await.unwrap();
        }
        served.shutdown().await.unwrap();
    };
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let send = async {
        writer.write_all(&plain).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut read = Vec::new();
    let (_, _, count) = tokio::join!(echo, send, reader.read_to_end(&mut read));
    assert_eq!(count.unwrap(), plain.len());
    assert!(read == plain);
}

#[tokio::test]
async fn it_converses_over_full_and_resumed_connections() {
    let house = House::new();
    for ends in ENDS {
        for version in VERSIONS {
            let server = Arc::new(house.server());
            let client = Arc::new(house.client_of(version));
            for _ in 0..3 {
                let [served, client] = meet(ends, &server, &client).await.map(Result::unwrap);
                converse(served, client).await;
            }
        }
    }
}

#[tokio::test]
async fn tickets_are_taken_for_the_next_connection() {
    let house = House::new();
    for version in VERSIONS {
        let server = Arc::new(house.server());
        let client = Arc::new(house.client_of(version));
        for expected in [
            rustls::HandshakeKind::Full,
            rustls::HandshakeKind::Resumed,
            rustls::HandshakeKind::Resumed,
        ] {
            let (near, far) = duplex(0x1_0000);
            let name = "localhost".try_into().unwrap();
            let connecting = TlsStream::connect(near, Arc::clone(&client), name);
            let accepting = TlsStream::accept(far, Arc::clone(&server));
            let (client, served) = tokio::try_join!(connecting, accepting).unwrap();
            assert_eq!(client.facts().handshake_kind(), Some(expected));
            assert_eq!(served.facts().handshake_kind(), Some(expected));
            // They are behind the handshake, and are read with what comes then.
            converse(Box::new(served), Box::new(client)).await;
        }
    }
}

#[tokio::test]
async fn it_shows_who_it_is_when_it_is_asked() {
    let house = House::new();
    let server = Arc::new(house.asking(true));
    for ends in ENDS {
        for version in VERSIONS {
            let client = Arc::new(house.identified(version, house.chain.clone()));
            let [served, client] = meet(ends, &server, &client).await.map(Result::unwrap);
            converse(served, client).await;
        }
    }
}

#[tokio::test]
async fn a_server_of_unknown_make_is_refused_and_told() {
    let house = House::new();
    let server = Arc::new(house.server());
    for ends in ENDS {
        for version in VERSIONS {
            let client = Arc::new(House::stranger().client_of(version));
            let [served, client] = meet(ends, &server, &client).await;
            let unknown = CertificateError::UnknownIssuer;
            let error = client.err().unwrap();
            assert_eq!(tls_error(&error), &TlsError::from(unknown), "{ends:?}");
            let told = TlsError::AlertReceived(AlertDescription::UnknownCA);
            assert_eq!(tls_error(&served.err().unwrap()), &told, "{ends:?}");
        }
    }
}

#[tokio::test]
async fn a_server_of_another_name_is_refused() {
    let house = House::new();
    let (near, far) = duplex(0x1_0000);
    let name = "elsewhere.test".try_into().unwrap();
    let connecting = TlsStream::connect(near, Arc::new(house.client()), name);
    let accepting = TlsStream::accept(far, Arc::new(house.server()));
    let (connected, _) = tokio::join!(connecting, accepting);
    let error = connected.err().unwrap();
    let TlsError::InvalidCertificate(_) = tls_error(&error) else {
        panic!("{error}");
    };
}

#[tokio::test]
async fn a_server_that_leaves_is_an_unexpected_end() {
    let house = House::new();
    for kind in KINDS {
        let (near, mut far) = duplex(0x1_0000);
        let connecting = kind.connect(near, Arc::new(house.client()));
        let leaving = async {
            let hello = far.read_u8().await.unwrap();
            assert_eq!(hello, 0x16);
            drop(far);
        };
        let (connected, ()) = tokio::join!(connecting, leaving);
        let error = connected.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{kind:?}");
        assert_eq!(error.to_string(), "tls handshake eof", "{kind:?}");
    }
}
