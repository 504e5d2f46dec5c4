mod endings;
mod guests;
mod harness;
#[cfg(feature = "metrics")]
mod metrics;
mod spans;
mod story;
mod traffic;
