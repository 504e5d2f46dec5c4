use divan::Bencher;

use super::support::{
    Bare, Client, Drained, Handler, IdleTimeout, Incoming, Keepalive, Lifetime, Limit, LimitAll,
    Observe, ObserveLog, Origin, ReadTimeout, Recommended, RecommendedLog, Stack, Three, runtime,
};

/// From the request to the stream that the handler gets.
#[divan::bench(
    sample_count = 500,
    sample_size = 20,
    types = [
        Bare, Keepalive, ReadTimeout, IdleTimeout, Lifetime, Limit, LimitAll, Origin, Drained,
        Observe, ObserveLog, Three, Recommended, RecommendedLog,
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
    bencher
        .with_inputs(incoming)
        .bench_local_values(|incoming| runtime.block_on(incoming.open(&mut service, &handler)));
}
