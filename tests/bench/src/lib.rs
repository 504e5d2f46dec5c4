//! How the benchmarks of all crates run their operations: timed by divan, or counted by valgrind.
//!
//! A benchmark is an ordinary one of divan's that gives its operation to [`bench()`] or
//! [`bench_values`] in place of the [`Bencher`]:
//!
//! ```no_run
//! #[divan::bench]
//! fn sum(bencher: divan::Bencher<'_, '_>) {
//!     let numbers = [1_u64, 2, 3];
//!     wsgate_bench::bench(bencher, || divan::black_box(numbers).iter().sum::<u64>());
//! }
//! # fn main() {}
//! ```
//!
//! `cargo bench` times it. `cargo xtask bench --count` starts the same program under callgrind,
//! with [`COUNT`] in its environment and divan's `--test`, which runs every benchmark once. The
//! operation is then repeated within [`counted`], and callgrind, which collects nowhere else, writes
//! a file each time that returns: one for each leaf of divan's tree, in its order. So setting up is
//! never counted, and one run of valgrind is enough for all benchmarks of a program.
//!
//! What is counted has to run on the benchmark's own thread.

use std::env;
use std::hint::black_box;

use divan::Bencher;

/// The environment variable that asks for counts: how often each operation is repeated.
pub const COUNT: &str = "WSGATE_BENCH_COUNT";

/// Runs an operation that can be repeated as it is.
///
/// # Panics
///
/// When [`COUNT`] is set to something other than a number.
pub fn bench<T>(bencher: Bencher<'_, '_>, mut operation: impl FnMut() -> T) {
    let Some(times) = times() else {
        return bencher.bench_local(operation);
    };
    // What is made once, and what the first one leaves for those that follow.
    for _ in 0..WARM_UP {
        black_box(operation());
    }
    counted(&mut || {
        for _ in 0..times {
            black_box(operation());
        }
    });
    ran(bencher);
}

/// Runs an operation on an input of its own each time. Neither making the input nor dropping the
/// output belongs to it.
///
/// # Panics
///
/// As [`bench()`] does.
pub fn bench_values<I, T>(
    bencher: Bencher<'_, '_>,
    mut input: impl FnMut() -> I,
    mut operation: impl FnMut(I) -> T,
) {
    let Some(times) = times() else {
        return bencher.with_inputs(input).bench_local_values(operation);
    };
    for _ in 0..WARM_UP {
        black_box(operation(input()));
    }
    let inputs: Vec<_> = (0..times).map(|_| input()).collect();
    let mut inputs = inputs.into_iter();
    let mut outputs = Vec::with_capacity(times);
    counted(&mut || outputs.extend(inputs.by_ref().map(&mut operation)));
    drop(black_box(outputs));
    ran(bencher);
}

/// The function that callgrind collects in. It finds it by this name.
#[inline(never)]
pub fn counted(operations: &mut dyn FnMut()) {
    operations();
    // Not the last call: its frame has to be there until the operations have returned.
    black_box(());
}

fn times() -> Option<usize> {
    let times = env::var(COUNT).ok()?;
    Some(times.parse().expect("a number of repetitions"))
}

/// divan expects something to have been run.
fn ran(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| ());
}

const WARM_UP: usize = 3;
