use divan::Bencher;
use wsgate_bench::bench_values;
use wsgate_layer::upgrade::pair;

use super::support::{
    Bare, Client, Drained, Handler, IdleTimeout, Incoming, Keepalive, Lifetime, Limit, LimitAll,
    Observe, ObserveLog, Origin, ReadTimeout, Recommended, RecommendedLog, Stack, Strict, Three,
    runtime,
};

/// From the request to the stream that the handler gets.
#[divan::bench(
    sample_count = 500,
    sample_size = 20,
    types = [
        Bare, Keepalive, ReadTimeout, IdleTimeout, Lifetime, Limit, LimitAll, Origin, Strict,
        Drained, Observe, ObserveLog, Three, Recommended, RecommendedLog,
    ],
)]
fn open<S: Stack>(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let handler = Handler::default();
    let mut service = S::around(handler.clone());
    let client = Client::new(64, Client::PATIENT);
    let mut number = 0;
    let incoming = || {
        number += 1;
        Incoming::new(number, client.clone())
    };
    bench_values(bencher, incoming, |incoming| {
        runtime.block_on(incoming.open(&mut service, &handler))
    });
}

/// An `OnUpgrade` of our own, and a stream through it.
#[divan::bench]
fn upgrade_pair(bencher: Bencher<'_, '_>) {
    let runtime = runtime();
    let client = || Client::new(64, Client::PATIENT);
    bench_values(bencher, client, |client| {
        let (connection, on_upgrade) = pair();
        connection.send(client).expect("somebody waits for it");
        runtime.block_on(on_upgrade).expect("it was sent")
    });
}
