//! Proxies as simple as can be, in the test's own process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream, server};
use http::{Request, Response};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A proxy in front of an upstream; it ends with the value.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    folder: TempDir,
    _runtime: Runtime,
}

// ===== impl Proxy =====

impl Proxy {
    /// Ends TLS, and speaks HTTP/2 with those who ask for it.
    pub(crate) fn tls(upstream: SocketAddr) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec!["h2".into(), "http/1.1".into()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(folder, move |tcp| {
            let acceptor = acceptor.clone();
            async move {
                let mut tls = acceptor.accept(tcp).await.unwrap();
                if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                    serve_h2(tls, upstream).await;
                } else {
                    let mut tcp = TcpStream::connect(upstream).await.unwrap();
                    // A client that is gone is no concern of ours.
                    let _ = copy_bidirectional(&mut tls, &mut tcp).await;
                }
            }
        })
    }

    /// Passes bytes on, all of them as they are but the one at `at` on the way to the client.
    pub(crate) fn spoiling(upstream: SocketAddr, at: usize) -> Self {
        Self::serve(tempfile::tempdir().unwrap(), move |mut tcp| async move {
            let mut upstream = TcpStream::connect(upstream).await.unwrap();
            let (mut client_reads, mut client_writes) = tcp.split();
            let (mut reads, mut writes) = upstream.split();
            let spoil = async {
                let (mut buffer, mut passed) = ([0; 4096], 0);
                while let Ok(count @ 1..) = reads.read(&mut buffer).await {
                    if let Some(byte) = buffer[..count].get_mut(at.wrapping_sub(passed)) {
                        *byte ^= 0x20;
                    }
                    passed += count;
                    client_writes.write_all(&buffer[..count]).await.unwrap();
                }
            };
            tokio::select! {
                _ = copy(&mut client_reads, &mut writes) => {}
                () = spoil => {}
            }
        })
    }

    /// The file for `--ca`.
    pub(crate) fn ca(&self) -> String {
        let path: PathBuf = self.folder.path().join("ca.pem");
        path.into_os_string().into_string().unwrap()
    }

    fn serve<F, S>(folder: TempDir, serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                tokio::spawn(serve(tcp));
            }
        });
        Self {
            address,
            folder,
            _runtime: runtime,
        }
    }
}

/// Extended CONNECT in, HTTP/1.1 out.
async fn serve_h2(tls: TlsStream<TcpStream>, upstream: SocketAddr) {
    let mut connection = server::Builder::new()
        .enable_connect_protocol()
        .handshake::<_, Bytes>(tls)
        .await
        .unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(tunnel(request, respond, upstream));
    }
}

async fn tunnel(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    upstream: SocketAddr,
) {
    let mut tcp = TcpStream::connect(upstream).await.unwrap();
    let path = request.uri().path();
    let handshake = format!("GET {path} HTTP/1.1\r\nSec-WebSocket-Key: any\r\n\r\n");
    tcp.write_all(handshake.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(tcp.read_u8().await.unwrap());
    }
    let send = respond.send_response(Response::new(()), false).unwrap();
    let (reads, writes) = tcp.into_split();
    tokio::join!(upload(request.into_body(), writes), download(reads, send));
}

async fn upload(mut body: RecvStream, mut writes: OwnedWriteHalf) {
    while let Some(Ok(data)) = body.data().await {
        writes.write_all(&data).await.unwrap();
        let _ = body.flow_control().release_capacity(data.len());
    }
}

async fn download(mut reads: OwnedReadHalf, mut send: SendStream<Bytes>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reads.read(&mut buffer).await {
        // More than the window allows waits in h2: a test's worth is little.
        let data = Bytes::copy_from_slice(&buffer[..count]);
        send.send_data(data, false).unwrap();
    }
    let _ = send.send_data(Bytes::new(), true);
}
