//! The server behind the proxy: an echo, and a fan-out.

mod echo;
mod fanout;

use std::io::{self, IsTerminal, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};
use rustix::fs::{FileType, fstat};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime;
use tokio::task::JoinSet;

use crate::args::UpstreamArgs;
use crate::connect::h1::{Head, accept_of};
use fanout::Fanout;

/// Serves until standard input, if it is a pipe, ends. SIGTERM ends it as it ends any program.
///
/// # Errors
///
/// When the address cannot be listened on.
pub(crate) fn run(args: &UpstreamArgs) -> Result<()> {
    let mut address = args.listen;
    let fanout = Arc::new(Fanout::default());
    let mut threads = Vec::new();
    for _ in 0..args.threads {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            listen(address).with_context(|| format!("cannot listen on {address}"))?
        };
        // The others share the port that the first was given.
        address = listener.local_addr()?;
        let fanout = Arc::clone(&fanout);
        threads.push(thread::spawn(move || {
            runtime.block_on(serve(listener, &fanout))
        }));
    }
    writeln!(io::stdout(), "listening {address}")?;
    if is_pipe(&io::stdin()) {
        let mut stdin = io::stdin().lock();
        while stdin.read(&mut [0; 64])? > 0 {}
        return Ok(());
    }
    for thread in threads {
        thread.join().expect("no connection panics");
    }
    Ok(())
}

/// A background job's input is `/dev/null`, which ends at once: only the end of a pipe means something.
fn is_pipe(stdin: &io::Stdin) -> bool {
    let kind = fstat(stdin).map(|stat| FileType::from_raw_mode(stat.st_mode));
    !stdin.is_terminal() && kind == Ok(FileType::Fifo)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn serve(listener: TcpListener, fanout: &Arc<Fanout>) {
    let mut connections = JoinSet::new();
    loop {
        // Out of descriptors, most likely: a connection that ends makes room.
        let Ok((tcp, _)) = listener.accept().await else {
            connections.join_next().await;
            continue;
        };
        let fanout = Arc::clone(fanout);
        connections.spawn(async move {
            // What goes wrong on a connection is for the client to find and count.
            let _ = converse(tcp, &fanout).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// One connection from its first byte to its last.
async fn converse(mut tcp: TcpStream, fanout: &Fanout) -> Result<()> {
    tcp.set_nodelay(true)?;
    let head = Head::read(&mut tcp).await?;
    let Some(key) = head.field("sec-websocket-key") else {
        tcp.write_all(REFUSAL.as_bytes()).await?;
        return Ok(());
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        accept_of(key)
    );
    match head.first_line().split(' ').nth(1).unwrap_or_default() {
        "/fanout" => {
            // It is a subscriber before its client can know that.
            let subscription = fanout.subscribe();
            tcp.write_all(answer.as_bytes()).await?;
            subscription.run(tcp, &head.rest).await
        }
        "/fanout/publish" => {
            tcp.write_all(answer.as_bytes()).await?;
            fanout.publish_from(tcp, &head.rest).await
        }
        _ => {
            tcp.write_all(answer.as_bytes()).await?;
            echo::run(tcp, &head.rest).await
        }
    }
}

/// As many as the kernel allows.
const BACKLOG: u32 = 4096;

const REFUSAL: &str = "HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade, close\r\n\
                       Upgrade: websocket\r\nContent-Length: 0\r\n\r\n";
