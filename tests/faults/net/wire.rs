//! Carries frames between two interfaces, and hurts them on the way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::future::pending;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, bind, socket};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::checksum;
use super::host::Host;
use super::weather::Weather;

/// One direction of a link: what it does, and what it did.
#[derive(Debug, Default)]
pub(super) struct Lane {
    weather: Mutex<Weather>,
    hurt: AtomicU64,
}

/// The two interfaces of a link that are in the middle of it.
#[derive(Debug)]
pub(super) struct Ends {
    gateway: Arc<UdpSocket>,
    other: Arc<UdpSocket>,
}

/// The frames that are under way in one direction.
struct Air {
    chance: StdRng,
    /// The first that is due is on top.
    flying: BinaryHeap<Reverse<Flying>>,
    sent: u64,
}

/// Those that are due at once are in the order in which they came.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    due: Instant,
    number: u64,
    frame: Vec<u8>,
}

// ===== impl Lane =====

impl Lane {
    pub(super) fn be(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    pub(super) fn hurt(&self) -> u64 {
        self.hurt.load(Ordering::Relaxed)
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves frames until it is dropped.
    async fn carry(&self, from: &UdpSocket, to: &UdpSocket, seed: u64) {
        let mut air = Air {
            chance: StdRng::seed_from_u64(seed),
            flying: BinaryHeap::new(),
            sent: 0,
        };
        let mut buffer = vec![0; LONGEST];
        loop {
            let due = air.flying.peek().map(|Reverse(next)| next.due);
            let landing = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                read = read(from, &mut buffer) => self.launch(&mut air, &mut buffer[..read]),
                () = landing => {}
            }
            let now = Instant::now();
            while let Some(frame) = air.land(now) {
                // Into an interface that is down, or full: lost as on any wire.
                let _ = to.try_send(&frame);
            }
        }
    }

    fn launch(&self, air: &mut Air, frame: &mut [u8]) {
        let fate = self.weather().meet(frame.len(), &mut air.chance);
        let full = air.flying.len() >= MOST;
        if fate.is_hurt || full {
            self.hurt.fetch_add(1, Ordering::Relaxed);
        }
        if full {
            return;
        }
        checksum::fill_in(frame);
        if let Some(bit) = fate.damaged {
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        let due = Instant::now() + fate.delay;
        for _ in 0..fate.copies {
            air.sent += 1;
            air.flying.push(Reverse(Flying {
                due,
                number: air.sent,
                frame: frame.to_vec(),
            }));
        }
    }
}

// ===== impl Air =====

impl Air {
    /// A frame that has arrived.
    fn land(&mut self, now: Instant) -> Option<Vec<u8>> {
        let next = self.flying.peek_mut()?;
        (next.0.due <= now).then(|| PeekMut::pop(next).0.frame)
    }
}

// ===== impl Ends =====

impl Ends {
    /// Takes hold of the two interfaces, which are still down: nothing is missed.
    pub(super) async fn open(host: &Host, gateway: &str, other: &str) -> Self {
        let names = [gateway.to_owned(), other.to_owned()];
        let open = async move { names.map(|name| packets(&name).expect("root may have them")) };
        let [gateway, other] = host.run(open).await.map(Arc::new);
        Self { gateway, other }
    }

    /// Begins to carry.
    pub(super) fn carry(
        self,
        host: &Host,
        inbound: &Arc<Lane>,
        outbound: &Arc<Lane>,
        seed: u64,
    ) -> [AbortOnDropHandle<()>; 2] {
        let Self { gateway, other } = self;
        let start = |lane: &Arc<Lane>, from: &Arc<UdpSocket>, to: &Arc<UdpSocket>, seed| {
            let (lane, from, to) = (Arc::clone(lane), Arc::clone(from), Arc::clone(to));
            host.start(async move { lane.carry(&from, &to, seed).await })
        };
        [
            start(inbound, &other, &gateway, seed),
            start(outbound, &gateway, &other, !seed),
        ]
    }
}

/// A socket for all frames of an interface. What it sends it does not see.
///
/// It has nothing to do with UDP but that each read is a datagram and each write another: std and tokio have
/// no other type that takes such a socket.
fn packets(interface: &str) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        SockProtocol::EthAll,
    )?;
    let mut addresses = getifaddrs()?.filter(|entry| entry.interface_name == interface);
    let address = addresses.find_map(|entry| entry.address?.as_link_addr().copied());
    let address = address.ok_or(io::ErrorKind::NotFound)?;
    bind(socket.as_raw_fd(), &address)?;
    UdpSocket::from_std(socket.into())
}

/// The next frame.
async fn read(socket: &UdpSocket, buffer: &mut [u8]) -> usize {
    loop {
        // An error only tells, once, that the interface went down.
        if let Ok(length) = socket.recv(buffer).await {
            return length;
        }
    }
}

/// An Ethernet frame may be so long, and some more.
const LONGEST: usize = 64 * 1024;

/// How many frames may be under way, as `netem` has it.
const MOST: usize = 1_000;
