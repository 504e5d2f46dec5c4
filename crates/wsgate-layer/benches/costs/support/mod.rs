//! What is measured, for the benchmarks and for the test of idle memory.

mod socket;
mod stacks;

use std::{
    io,
    sync::Arc,
    task::{Wake, Waker},
};

use tokio::runtime::{Builder, Runtime};

pub(crate) use self::{
    socket::{Client, Handler, Incoming, Socket},
    stacks::{
        Bare, Drained, Handshakes, IdleTimeout, Keepalive, Lifetime, Limit, LimitAll, Observe,
        ObserveLog, Origin, ReadTimeout, Recommended, RecommendedLog, Stack, Strict, Three,
    },
};

/// Where a handler runs.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime without I/O needs nothing")
}

/// What a task is woken with: counted, as that of a task is.
pub(crate) fn waker() -> Waker {
    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    Arc::new(Task).into()
}

/// Logs as most services do, from INFO on, but to nowhere.
pub(crate) fn log() {
    tracing_subscriber::fmt().with_writer(io::sink).init();
}
