//! The hosts, and the links between them.
//!
//! ```text
//!   client ───────────── gateway ─┬─────────── upstream
//!   10.77.1.2   10.77.1.1, 2.1, 3.1 │           10.77.2.2
//!                                 └─────────── spare
//!                                              10.77.3.2
//! ```
//!
//! Each host is a network namespace. A link is two pairs of virtual interfaces, and between them, in a
//! namespace of its own, a [wire] of ours that hurts what it carries. The kernel's own means for that
//! is `tc netem`, which many kernels are built without; ours needs none, has the same chance at each
//! run, hurts each direction by itself, and counts what it did.

mod checksum;
mod host;
mod weather;
mod wire;

use std::fs;
use std::path::Path;
use std::process::{self, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio_util::task::AbortOnDropHandle;

pub(crate) use self::host::Host;
pub(crate) use self::weather::Weather;
use self::wire::{Ends, Lane};

/// All hosts of one scenario. Dropped, they are gone, and what ran on them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) to_client: Link,
    pub(crate) to_upstream: Link,
    pub(crate) client: Host,
    pub(crate) gateway: Host,
    pub(crate) upstream: Host,
    pub(crate) spare: Host,
    _to_spare: Link,
    /// Where the wires are.
    _between: Host,
}

/// A link of the gateway, seen from there.
#[derive(Debug)]
pub(crate) struct Link {
    inbound: Arc<Lane>,
    outbound: Arc<Lane>,
    _wires: [AbortOnDropHandle<()>; 2],
}

// ===== impl World =====

impl World {
    pub(crate) const CLIENT_SIDE: &str = "10.77.1.1";
    pub(crate) const UPSTREAM: &str = "10.77.2.2";
    pub(crate) const SPARE: &str = "10.77.3.2";

    pub(crate) async fn new() -> Self {
        static WORLDS: AtomicU32 = AtomicU32::new(0);
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let host = |name| Host::new(format!("{PREFIX}{}-{number}-{name}", process::id()));
        let (between, gateway) = (host("wires"), host("gateway"));
        let (client, upstream, spare) = (host("client"), host("upstream"), host("spare"));
        gateway.ip("link set lo up");
        Self {
            to_client: Link::new(&between, &gateway, &client, 1).await,
            to_upstream: Link::new(&between, &gateway, &upstream, 2).await,
            _to_spare: Link::new(&between, &gateway, &spare, 3).await,
            client,
            gateway,
            upstream,
            spare,
            _between: between,
        }
    }
}

// ===== impl Link =====

impl Link {
    /// `10.77.subnet.1` is the gateway, on its interface `eth<subnet>`, and `.2` the other.
    async fn new(between: &Host, gateway: &Host, other: &Host, subnet: u8) -> Self {
        let (left, right) = (format!("l{subnet}"), format!("r{subnet}"));
        for (host, near, far, number) in [(gateway, "eth", &left, 1), (other, "eth", &right, 2)] {
            let near = format!("{near}{subnet}");
            let (name, wires) = (host.name(), between.name());
            host::ip(
                &format!("link add {near} netns {name} type veth peer name {far} netns {wires}")
                    .split(' ')
                    .collect::<Vec<_>>(),
            );
            host.ip(&format!("addr add 10.77.{subnet}.{number}/24 dev {near}"));
            // What TCP sends is to be as long as on a real wire.
            host.ip(&format!("link set {near} gso_max_segs 1"));
            host.ip(&format!("link set {near} up"));
        }
        let (inbound, outbound) = <(Arc<Lane>, Arc<Lane>)>::default();
        let ends = Ends::open(between, &left, &right).await;
        for end in [&left, &right] {
            between.ip(&format!("link set {end} up"));
        }
        let wires = ends.carry(between, &inbound, &outbound, subnet.into());
        Self {
            inbound,
            outbound,
            _wires: wires,
        }
    }

    /// Changes what it does to frames in both directions.
    pub(crate) fn be(&self, weather: Weather) {
        self.bring(weather);
        self.take(weather);
    }

    /// The same for those to the gateway.
    pub(crate) fn bring(&self, weather: Weather) {
        self.inbound.be(weather);
    }

    /// The same for those from the gateway.
    pub(crate) fn take(&self, weather: Weather) {
        self.outbound.be(weather);
    }

    /// How many frames it has dropped, doubled, damaged or held back.
    pub(crate) fn hurt(&self) -> u64 {
        self.inbound.hurt() + self.outbound.hurt()
    }
}

/// What this machine lacks; `None` when all is there.
pub(crate) fn missing() -> Option<String> {
    let trial = format!("{PREFIX}{}-trial", process::id());
    let made = Command::new("ip").args(["netns", "add", &trial]).output();
    let Ok(made) = made else {
        return Some("iproute2 is not installed: run `cargo xtask setup`".to_owned());
    };
    if !made.status.success() {
        let complaint = String::from_utf8_lossy(&made.stderr);
        let complaint = complaint.lines().next().unwrap_or_default();
        return Some(format!("network namespaces need root: {complaint}"));
    }
    let veth = [
        "-n", &trial, "link", "add", "eth1", "type", "veth", "peer", "name", "eth2",
    ];
    let veth = Command::new("ip").args(veth).output();
    let _ = Command::new("ip").args(["netns", "del", &trial]).output();
    match veth {
        Ok(output) if output.status.success() => None,
        _ => Some("the kernel has no virtual interfaces (veth)".to_owned()),
    }
}

/// Removes the namespaces of runs that were killed, and the gateways that still run in them.
pub(crate) fn sweep() {
    let Ok(names) = fs::read_dir(host::FOLDER) else {
        return;
    };
    for name in names.flatten() {
        let name = name.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'));
        if owner.is_some_and(|(pid, _)| !Path::new("/proc").join(pid).exists()) {
            // Another run may be about to do the same.
            let pids = Command::new("ip").args(["netns", "pids", &name]).output();
            let pids = pids.map(|output| output.stdout).unwrap_or_default();
            for pid in String::from_utf8_lossy(&pids).lines() {
                let _ = Command::new("kill").args(["-KILL", pid]).output();
            }
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// A namespace is called so, with the process that it belongs to.
const PREFIX: &str = "wsgate-faults-";
