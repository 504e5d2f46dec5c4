//! Clients that are always there: whose tunnel ends opens another.

use std::{cmp::Reverse, collections::BinaryHeap, f64::consts::TAU};

use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, SET_COOKIE},
};
use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::upstream::{Handshake, Lease, Upstream};

pub(super) struct World {
    pub(super) group: Upstream,
    /// In mean lifetimes of a tunnel.
    pub(super) now: f64,
    clients: Vec<Client>,
    ends: BinaryHeap<Reverse<End>>,
    rooms: Vec<f64>,
    rng: SmallRng,
}

#[derive(Default)]
struct Client {
    lease: Option<Lease>,
    cookie: Option<HeaderValue>,
    /// How many it has had.
    tunnels: u32,
}

#[derive(Clone, Copy, PartialEq)]
struct End {
    time: f64,
    client: usize,
    /// Which of the client's.
    tunnel: u32,
}

// ===== impl World =====

impl World {
    pub(super) fn new(group: Upstream) -> Self {
        // Room sizes by Zipf's law: the largest has an eighth of all tunnels, more than an endpoint's
        // share.
        let sizes = (1..=ROOMS).map(|rank| 1.0 / f64::from(rank));
        let rooms = sizes.scan(0.0, |sum, size| {
            *sum += size;
            Some(*sum)
        });
        Self {
            group,
            now: 0.0,
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            ends: BinaryHeap::new(),
            rooms: rooms.collect(),
            rng: SmallRng::seed_from_u64(7),
        }
    }

    /// All come at once.
    pub(super) fn open_all(&mut self, opened: impl Fn(&Upstream, &Lease)) {
        for client in 0..CLIENTS {
            self.open(client, &opened);
        }
    }

    pub(super) fn run_until(&mut self, time: f64, opened: impl Fn(&Upstream, &Lease)) {
        while let Some(Reverse(end)) = self.ends.peek().copied().filter(|end| end.0.time <= time) {
            self.ends.pop();
            if self.clients[end.client].tunnels == end.tunnel {
                self.now = end.time;
                self.clients[end.client].lease = None;
                self.open(end.client, &opened);
            }
        }
        self.now = time;
    }

    /// The endpoint is gone, with all its tunnels, and their clients are back.
    pub(super) fn kill(&mut self, endpoint: &crate::Endpoint, opened: impl Fn(&Upstream, &Lease)) {
        self.group.drain(endpoint).unwrap();
        let is_there = |client: &Client| {
            let lease = client.lease.as_ref();
            lease.is_some_and(|lease| lease.endpoint() == endpoint)
        };
        let lost = 0..CLIENTS;
        let lost: Vec<_> = lost.filter(|i| is_there(&self.clients[*i])).collect();
        for client in &lost {
            self.clients[*client].lease = None;
        }
        for client in lost {
            self.open(client, &opened);
        }
    }

    fn open(&mut self, client: usize, opened: impl Fn(&Upstream, &Lease)) {
        let end = self.now + self.lifetime();
        let room = self.room();
        let is_new = self.rng.random_bool(NEW);
        let state = &mut self.clients[client];
        if is_new {
            state.cookie = None;
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-room", room.into());
        headers.extend(state.cookie.clone().map(|cookie| (COOKIE, cookie)));
        let handshake = Handshake::new(&headers, "/");

        let mut tries = self.group.tries();
        let lease = tries.next(&handshake).expect("most endpoints are there");
        let mut answer = HeaderMap::new();
        tries.accepted(&lease, &handshake, &mut answer);
        if let Some(set) = answer.get(SET_COOKIE) {
            let (pair, _) = set.to_str().unwrap().split_once(';').unwrap();
            state.cookie = Some(pair.parse().unwrap());
        }
        opened(&self.group, &lease);
        state.lease = Some(lease);
        state.tunnels += 1;
        self.ends.push(Reverse(End {
            time: end,
            client,
            tunnel: state.tunnels,
        }));
    }

    /// Log-normal, with mean 1: half are over after a third of it, one in a hundred lives ten times as
    /// long.
    fn lifetime(&mut self) -> f64 {
        let (a, b): (f64, f64) = (1.0 - self.rng.random::<f64>(), self.rng.random());
        let normal = (-2.0 * a.ln()).sqrt() * (TAU * b).cos();
        (SIGMA * normal - SIGMA * SIGMA / 2.0).exp()
    }

    fn room(&mut self) -> usize {
        let all = self.rooms[self.rooms.len() - 1];
        let drawn = self.rng.random_range(0.0..all);
        self.rooms.partition_point(|sum| *sum <= drawn)
    }
}

// ===== impl End =====

impl Eq for End {}

impl PartialOrd for End {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for End {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let time = self.time.total_cmp(&other.time);
        time.then(self.client.cmp(&other.client))
    }
}

const CLIENTS: usize = 10_000;
const ROOMS: u32 = 2_000;
/// How many of those who come were never here.
const NEW: f64 = 0.5;
/// Of the logarithm of the lifetimes.
const SIGMA: f64 = 1.5;
