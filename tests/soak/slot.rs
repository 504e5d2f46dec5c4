//! Connections, and the tunnels in them: a slot has a tunnel, or several over HTTP/2, for as long as the round lasts.

use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use wsgate_tests::client::{Handshake, Refused};

use crate::random::Random;
use crate::session::World;

/// One tunnel after the other, each over a connection of its own.
pub(crate) async fn by_http1(world: Arc<World>, mut random: Random) {
    while !world.leaving.is_cancelled() {
        let session = world.session(&mut random);
        match world.target.open(Handshake::of(&session.path())).await {
            Ok(opened) => session.live(opened).await,
            Err(refusal) => refused(&world, &refusal).await,
        }
    }
}

/// One connection over HTTP/2 after the other, each with several tunnels at a time. A third of them vanish with all
/// that is in them.
pub(crate) async fn by_http2(world: Arc<World>, mut random: Random, tunnels: usize) {
    while !world.leaving.is_cancelled() {
        let mut connection = world.target.h2().await;
        let end = Instant::now() + random.millis(0..world.longest.as_millis() as usize) + SOME;
        let vanishes = random.percent(33);
        let mut sessions = JoinSet::new();
        loop {
            while sessions.len() < tunnels && !world.leaving.is_cancelled() {
                let session = world.session(&mut random);
                match connection.open(Handshake::of(&session.path())).await {
                    Ok(opened) => {
                        sessions.spawn(session.live(opened));
                    }
                    Err(refusal) => refused(&world, &refusal).await,
                }
            }
            select! {
                () = sleep_until(end) => break,
                () = world.leaving.cancelled() => break,
                Some(done) = sessions.join_next() => told(&world, done),
            }
        }
        if vanishes && !world.leaving.is_cancelled() {
            let left = "clients left: with the whole connection over HTTP/2";
            world.tally.add(left, sessions.len() as u64);
            sessions.shutdown().await;
        }
        while let Some(done) = sessions.join_next().await {
            told(&world, done);
        }
    }
}

/// A tunnel that panicked has found something that must not be.
fn told(world: &World, done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done {
        world.tally.fail(format!("a client over HTTP/2: {error}"));
    }
}

/// Refusals are right where all endpoints that were tried are gone, and nowhere else.
async fn refused(world: &World, refusal: &Refused) {
    let status = refusal.response.status;
    match status {
        502..=504 => world
            .tally
            .one(&format!("handshakes refused with {status}")),
        _ => world
            .tally
            .fail(format!("a handshake was answered {status}")),
    }
    sleep(SOME).await;
}

const SOME: Duration = Duration::from_millis(100);
