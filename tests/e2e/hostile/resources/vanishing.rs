//! Thousands who come and are gone again, at every stage of a connection.

use std::io;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use wsgate_tests::client::Target;
use wsgate_tests::upstream::{Upstream, script};
use wsgate_tests::wsgate::Wsgate;
use wsgate_tests::{Io, trace};

use super::{HANDSHAKE, handshake};

/// How far a client gets.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Connected,
    HalfHello,
    Tls,
    HalfHead,
    /// The upstream has not answered yet.
    Handshake,
    /// Half of a frame is on its way.
    Tunnel,
}

#[tokio::test]
async fn they_leave_nothing_behind() {
    let _trace = trace::init();
    let silent = Upstream::tcp(script::silence()).await;
    let echo = Upstream::tcp(script::echo()).await;
    let wsgate = Wsgate::before(echo.addr())
        .args(&format!("--route /silent=http://{}", silent.addr()))
        .args("--log-level error")
        .tls()
        .start()
        .await;
    let files = wsgate.open_files();
    let mut memory = 0;
    for number in 0..ROUNDS {
        if number == WARM {
            memory = wsgate.memory();
        }
        round(&wsgate.target()).await;
    }
    wsgate
        .until("the ends of all", |w| w.open_files() <= files)
        .await;
    let more = wsgate.memory().saturating_sub(memory);
    let clients = (STAGES.len() * 2 * CROWD * (ROUNDS - WARM)) as u64;
    assert!(more / clients < 1024, "{more} bytes for {clients} clients");

    let mut tunnel = wsgate.target().tunnel(handshake()).await;
    super::echoes(&mut tunnel).await;
    tunnel.close(1000, "").await;
    wsgate.terminate().await;
    silent.join().await;
    echo.join().await;
}

/// A crowd at each stage, of whom half say goodbye.
async fn round(target: &Target) {
    for stage in STAGES {
        let clients = (0..CROWD * 2).map(|number| async move {
            match come(target, stage).await {
                Ok(client) if number % 2 == 0 => client.reset(),
                // Dropped, it ends in order.
                Ok(_) => {}
                Err(error) => panic!("{stage:?}: {error}"),
            }
        });
        join_all(clients).await;
    }
}

async fn come(target: &Target, stage: Stage) -> io::Result<Box<dyn Io>> {
    let plain = target.addr();
    match stage {
        Stage::Connected => Ok(Box::new(TcpStream::connect(plain).await?)),
        Stage::HalfHello => {
            let mut stream = TcpStream::connect(plain).await?;
            // A record of 512 bytes, of which a few come.
            stream
                .write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                .await?;
            Ok(Box::new(stream))
        }
        Stage::Tls => target.try_connect(&["http/1.1"]).await,
        Stage::HalfHead => {
            let mut stream = target.try_connect(&["http/1.1"]).await?;
            stream.write_all(&HANDSHAKE.as_bytes()[..60]).await?;
            stream.flush().await?;
            Ok(stream)
        }
        Stage::Handshake => {
            let mut stream = target.try_connect(&["http/1.1"]).await?;
            let handshake = HANDSHAKE.replacen("/websocket", "/silent", 1);
            stream.write_all(handshake.as_bytes()).await?;
            stream.flush().await?;
            Ok(stream)
        }
        Stage::Tunnel => {
            let tunnel = target.tunnel(handshake()).await;
            let (mut io, _) = tunnel.into_parts();
            io.write_all(&[0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 5])
                .await?;
            io.flush().await?;
            Ok(io)
        }
    }
}

const STAGES: [Stage; 6] = [
    Stage::Connected,
    Stage::HalfHello,
    Stage::Tls,
    Stage::HalfHead,
    Stage::Handshake,
    Stage::Tunnel,
];

const CROWD: usize = 50;

const ROUNDS: usize = 8;

/// After so many the allocator has what a busy server keeps. A task that was left behind takes some KiB.
const WARM: usize = 3;
