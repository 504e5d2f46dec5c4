//! What is held, and when.

use std::io::{self, Write as _};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsConnector, client};
use tokio_test::{assert_pending, assert_ready_ok, task};

use crate::TlsStream;
use crate::scratch::{BATCH, MAX_RECORD};

type Client = client::TlsStream<DuplexStream>;

fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// Both ends, over a pipe that holds this much.
async fn pair(pipe: usize) -> (TlsStream<DuplexStream>, Client) {
    let (server, client) = configs();
    let (near, far) = duplex(pipe);
    let connector = TlsConnector::from(client);
    let (served, client) = tokio::join!(
        TlsStream::accept(far, server),
        connector.connect("localhost".try_into().unwrap(), near),
    );
    (served.unwrap(), client.unwrap())
}

#[track_caller]
fn holds(stream: &TlsStream<DuplexStream>, incoming: usize, plaintext: usize, outgoing: usize) {
    assert_eq!(stream.session.held(), [incoming, plaintext, outgoing]);
}

#[tokio::test]
async fn nothing_is_held_while_idle() {
    let (mut served, mut client) = pair(0x1_0000).await;
    holds(&served, 0, 0, 0);
    let mut buffer = [0; 5];
    for _ in 0..2 {
        client.write_all(b"hello").await.unwrap();
        served.read_exact(&mut buffer).await.unwrap();
        served.write_all(&buffer).await.unwrap();
        served.flush().await.unwrap();
        client.read_exact(&mut buffer).await.unwrap();
        holds(&served, 0, 0, 0);
    }
    assert_pending!(task::spawn(served.read(&mut buffer)).poll());
    holds(&served, 0, 0, 0);
}

#[tokio::test]
async fn what_has_no_room_is_held_until_it_is_read() {
    let (mut served, mut client) = pair(0x1_0000).await;
    client.write_all(&[7; 1000]).await.unwrap();
    let mut buffer = [0; 600];
    served.read_exact(&mut buffer).await.unwrap();
    holds(&served, 0, 400, 0);
    served.read_exact(&mut buffer[..400]).await.unwrap();
    holds(&served, 0, 0, 0);
}

#[tokio::test]
async fn no_more_is_read_than_the_reader_has_room_for_or_one_record() {
    let (mut served, mut client) = pair(0x2_0000).await;
    for _ in 0..8 {
        client.write_all(&[7; 10_000]).await.unwrap();
    }
    let mut buffer = [0; 100];
    served.read_exact(&mut buffer).await.unwrap();
    let [incoming, plaintext, _] = served.session.held();
    assert!(incoming + plaintext < MAX_RECORD, "{served:?}");

    let mut buffer = vec![0; 79_900];
    served.read_exact(&mut buffer).await.unwrap();
    holds(&served, 0, 0, 0);
}

#[tokio::test]
async fn nothing_is_held_of_what_comes_after_the_end() {
    let (mut served, client) = pair(0x1_0000).await;
    let (mut near, mut session) = client.into_inner();
    session.send_close_notify();
    let mut records = Vec::new();
    session.write_tls(&mut records).unwrap();
    records.extend([7; 1000]);
    near.write_all(&records).await.unwrap();
    assert_eq!(served.read(&mut [0; 8]).await.unwrap(), 0);
    holds(&served, 0, 0, 0);
}

#[tokio::test]
async fn a_part_of_a_record_is_held_until_the_rest_comes() {
    let (mut served, client) = pair(0x1_0000).await;
    let (mut near, mut session) = client.into_inner();
    session.writer().write_all(&[7; 1000]).unwrap();
    let mut record = Vec::new();
    session.write_tls(&mut record).unwrap();

    near.write_all(&record[..300]).await.unwrap();
    let mut buffer = [0; 2000];
    assert_pending!(task::spawn(served.read(&mut buffer)).poll());
    holds(&served, 300, 0, 0);
    // Writing does not touch it.
    served.write_all(b"hello").await.unwrap();
    holds(&served, 300, 0, 0);

    near.write_all(&record[300..]).await.unwrap();
    assert_eq!(served.read(&mut buffer).await.unwrap(), 1000);
    holds(&served, 0, 0, 0);
}

#[tokio::test]
async fn a_slow_peer_makes_one_batch_wait_and_no_more() {
    let (mut served, mut client) = pair(5000).await;
    // It takes the tickets out of the pipe.
    assert_pending!(task::spawn(client.read_u8()).poll());
    let plain = vec![7; 1_000_000];
    let written = assert_ready_ok!(task::spawn(served.write(&plain)).poll());
    assert_eq!(written, BATCH);
    let sealed = BATCH + 3 * (5 + 1 + 16);
    holds(&served, 0, 0, sealed - 5000);
    assert_pending!(task::spawn(served.write(&plain)).poll());
    holds(&served, 0, 0, sealed - 5000);

    let mut read = vec![0; BATCH];
    let (flushed, received) = tokio::join!(served.flush(), client.read_exact(&mut read));
    flushed.unwrap();
    received.unwrap();
    holds(&served, 0, 0, 0);
}

#[tokio::test]
async fn a_configuration_with_early_data_is_refused() {
    let (server, _) = configs();
    let mut server = Arc::unwrap_or_clone(server);
    server.max_early_data_size = 1000;
    // Not even a hello is waited for.
    let (_, far) = duplex(100);
    let error = TlsStream::accept(far, Arc::new(server)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert!(error.to_string().contains("early data"), "{error}");
}

#[tokio::test]
async fn what_is_read_fits_a_whole_batch() {
    let (mut served, mut client) = pair(0x4_0000).await;
    client.write_all(&[7; BATCH]).await.unwrap();
    let mut buffer = vec![0; BATCH];
    assert_eq!(served.read(&mut buffer).await.unwrap(), BATCH);
    holds(&served, 0, 0, 0);
}
