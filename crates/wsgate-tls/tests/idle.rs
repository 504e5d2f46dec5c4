//! What a connection holds in memory while nothing moves:
//! `cargo test -p wsgate-tls --test idle -- --show-output`

// Clippy exempts test functions only, not what they share.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use allocation_counter::{AllocationInfo, measure};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{NoServerSessionStorage, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::{TlsAcceptor, server};
use wsgate_tls::{TlsStream, rustls};

#[test]
fn an_idle_connection_holds_what_rustls_holds_and_nothing_else() {
    for version in [&TLS13, &TLS12] {
        let ours = held("TlsStream", version, |pipe, config| async {
            echo(TlsStream::accept(pipe, config).await.unwrap()).await;
        });
        let bare = held("rustls alone", version, rustls_alone);
        assert_eq!(ours, bare);

        let theirs = held("tokio-rustls", version, |pipe, config| async {
            echo(TlsAcceptor::from(config).accept(pipe).await.unwrap()).await;
        });
        let ours = ours.0 as usize + OURS;
        let theirs = theirs.0 as usize + size_of::<server::TlsStream<()>>();
        assert!(theirs - ours > 4000, "{ours}, {theirs}");
    }
    assert_eq!(size_of::<TlsStream<()>>(), OURS);
}

/// What there is beside the socket and the heap: where rustls' state is, where what is held would
/// be, how far the connection is.
const OURS: usize = 64;

/// Bytes and blocks of the heap that a server of this kind has taken and not given back after a
/// handshake and an echo. Keys are not among them: aws-lc has a heap of its own.
fn held<F>(
    kind: &str,
    version: &'static SupportedProtocolVersion,
    serve: impl Fn(Pipe, Arc<ServerConfig>) -> F,
) -> (i64, i64)
where
    F: Future<Output = ()>,
{
    let (server, client) = configs(version);
    // What a thread and a process have once is there after the first.
    converse(&serve, &server, &client);
    let info = converse(&serve, &server, &client);
    let (bytes, blocks) = (info.bytes_current, info.count_current);
    #[expect(clippy::print_stdout, reason = "a test program keeps it for who asks")]
    {
        let version = version.version;
        println!("{version:?}, {kind:>12}: {bytes:4} bytes in {blocks:2} blocks");
    }
    (bytes, blocks)
}

fn converse<F>(
    serve: impl Fn(Pipe, Arc<ServerConfig>) -> F,
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
) -> AllocationInfo
where
    F: Future<Output = ()>,
{
    let pipe = Pipe::new();
    let mut serving = pin!(serve(pipe.clone(), Arc::clone(server)));
    let mut cx = Context::from_waker(Waker::noop());
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
    client.writer().write_all(b"hello").unwrap();
    let mut total = AllocationInfo::default();
    let mut echoed = Vec::new();
    while echoed != b"hello" {
        client.write_tls(&mut *pipe.incoming()).unwrap();
        total += measure(|| assert!(serving.as_mut().poll(&mut cx).is_pending()));
        let mut outgoing = pipe.outgoing();
        client.read_tls(&mut &outgoing[..]).unwrap();
        outgoing.clear();
        client.process_new_packets().unwrap();
        let _ = client.reader().read_to_end(&mut echoed);
    }
    total
}

async fn echo<S>(mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = [0; 8];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        stream.write_all(&buffer[..count]).await.unwrap();
        stream.flush().await.unwrap();
    }
}

/// The same with nothing but rustls, and its buffers on the stack.
async fn rustls_alone(mut pipe: Pipe, config: Arc<ServerConfig>) {
    let mut tls = Box::new(UnbufferedServerConnection::new(config).unwrap());
    let (mut input, mut filled) = ([0; 4096], 0);
    let mut output = [0; 4096];
    let (mut plain, mut count) = ([0; 8], 0);
    loop {
        let status = tls.process_tls_records(&mut input[..filled]);
        let UnbufferedStatus { mut discard, state } = status;
        let mut len = 0;
        let mut waits = false;
        match state.unwrap() {
            ConnectionState::EncodeTlsData(mut data) => len = data.encode(&mut output).unwrap(),
            ConnectionState::TransmitTlsData(data) => data.done(),
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record.unwrap();
                    discard += record.discard;
                    count = record.payload.len();
                    plain[..count].copy_from_slice(record.payload);
                }
            }
            ConnectionState::WriteTraffic(mut writer) if count > 0 => {
                len = writer.encrypt(&plain[..count], &mut output).unwrap();
                count = 0;
            }
            _ => waits = true,
        }
        input.copy_within(discard..filled, 0);
        filled -= discard;
        pipe.write_all(&output[..len]).await.unwrap();
        if waits {
            filled += pipe.read(&mut input[filled..]).await.unwrap();
        }
    }
}

/// A stream that needs no more memory than it has from the beginning.
#[derive(Clone)]
struct Pipe(Rc<[RefCell<Vec<u8>>; 2]>);

// ===== impl Pipe =====

impl Pipe {
    fn new() -> Self {
        Self(Rc::new(
            [0, 1].map(|_| RefCell::new(Vec::with_capacity(0x4000))),
        ))
    }

    fn incoming(&self) -> impl DerefMut<Target = Vec<u8>> {
        self.0[0].borrow_mut()
    }

    fn outgoing(&self) -> impl DerefMut<Target = Vec<u8>> {
        self.0[1].borrow_mut()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut incoming = self.incoming();
        if incoming.is_empty() {
            return Poll::Pending;
        }
        let count = incoming.len().min(buf.remaining());
        buf.put_slice(&incoming[..count]);
        incoming.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing().extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A server without a memory for sessions, which would grow meanwhile, and a client of it.
fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.session_storage = Arc::new(NoServerSessionStorage {});
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}
