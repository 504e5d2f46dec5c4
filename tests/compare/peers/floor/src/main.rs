//! What no proxy goes below on this machine: the bytes of one TCP connection passed on to another, in
//! both directions, and nothing else. No TLS, no HTTP, no timer, no frame is looked at; the generator
//! speaks `ws://` to it. What is left is six system calls an echo and what the kernel does in them.
//!
//! Two threads, each with a listener and an epoll instance of its own.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::thread;

use clap::Parser;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};

#[derive(Parser)]
struct Args {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Where the bytes go
    #[arg(long)]
    upstream: SocketAddr,
}

/// One thread's connections. A tunnel has two tokens, one for each side.
struct Worker {
    poll: Poll,
    listener: TcpListener,
    upstream: SocketAddr,
    tunnels: Slab<Tunnel>,
    scratch: Box<[u8]>,
}

struct Tunnel {
    /// The client's side and the upstream's.
    sides: [Side; 2],
}

struct Side {
    stream: TcpStream,
    /// What the stream has not taken yet.
    unsent: Vec<u8>,
    /// Whether it has something to read that it was not asked for, as the other side takes nothing.
    is_held: bool,
}

const LISTENER: Token = Token(usize::MAX);

/// A little less than the loopback takes in one piece: with 64 KiB the last bytes of each write travel
/// alone, and a message of 1 MiB costs half as much again.
const SCRATCH: usize = 48 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut workers = Vec::new();
    for _ in 0..2 {
        let mut worker = Worker::new(&args)?;
        workers.push(thread::spawn(move || worker.run()));
    }
    for worker in workers {
        worker.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

// ===== impl Worker =====

impl Worker {
    fn new(args: &Args) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = listen(args.listen)?;
        let registry = poll.registry();
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            upstream: args.upstream,
            tunnels: Slab::new(),
            scratch: vec![0; SCRATCH].into(),
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                } else {
                    self.serve(event);
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let client = match self.listener.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let upstream = TcpStream::connect(self.upstream)?;
            let entry = self.tunnels.vacant_entry();
            let mut sides = [client, upstream].map(Side::new);
            for (number, side) in sides.iter_mut().enumerate() {
                side.stream.set_nodelay(true)?;
                let token = Token(entry.key() * 2 + number);
                let both = Interest::READABLE | Interest::WRITABLE;
                let registry = self.poll.registry();
                registry.register(&mut side.stream, token, both)?;
            }
            entry.insert(Tunnel { sides });
        }
    }

    fn serve(&mut self, event: &Event) {
        let (key, number) = (event.token().0 / 2, event.token().0 % 2);
        // The other side of the tunnel may have ended it by an event of the same batch.
        let Some(tunnel) = self.tunnels.get_mut(key) else {
            return;
        };
        let (client, upstream) = tunnel.sides.split_at_mut(1);
        let (this, other) = match number {
            0 => (&mut client[0], &mut upstream[0]),
            _ => (&mut upstream[0], &mut client[0]),
        };
        let written = match event.is_writable() {
            true => this.write_on(other, &mut self.scratch),
            false => Ok(true),
        };
        let read = match event.is_readable() {
            true => this.pass_to(other, event.is_read_closed(), &mut self.scratch),
            false => Ok(true),
        };
        if !matches!((written, read), (Ok(true), Ok(true))) {
            self.tunnels.remove(key);
        }
    }
}

// ===== impl Side =====

impl Side {
    const fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            unsent: Vec::new(),
            is_held: false,
        }
    }

    /// Reads until there is no more and gives it to the other side. `false` at the end, which may be
    /// known to have come.
    fn pass_to(
        &mut self,
        other: &mut Self,
        is_ended: bool,
        scratch: &mut [u8],
    ) -> io::Result<bool> {
        loop {
            self.is_held = !other.unsent.is_empty();
            if self.is_held {
                return Ok(true);
            }
            let read = match self.stream.read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                read => read?,
            };
            if read == 0 {
                return Ok(false);
            }
            other.send(&scratch[..read])?;
            // Less than there was room for: there is no more.
            if read < scratch.len() && !is_ended {
                return Ok(true);
            }
        }
    }

    /// Sends what was not taken before, then lets the other side go on.
    fn write_on(&mut self, other: &mut Self, scratch: &mut [u8]) -> io::Result<bool> {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            self.send(&unsent)?;
        }
        match other.is_held {
            true => other.pass_to(self, true, scratch),
            false => Ok(true),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = match self.stream.write(bytes) {
            // A connection that is still being made takes nothing either.
            Err(error) if is_not_yet(&error) => 0,
            sent => sent?,
        };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}
