//! What is printed: one JSON object.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Everything about one run. Counts and CPU times are those of the measured window.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) connections: usize,
    pub(crate) size: usize,
    pub(crate) in_flight: usize,
    pub(crate) http: &'static str,
    /// Version, cipher suite and key exchange; none over plain TCP.
    pub(crate) tls: Option<String>,
    /// The window's real length.
    pub(crate) seconds: f64,
    /// Round trips, deliveries or handshakes.
    pub(crate) messages: u64,
    /// Payload of the messages, one way.
    pub(crate) bytes: u64,
    /// Of the whole run, its warm-up and its end included.
    pub(crate) errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_error: Option<String>,
    /// Of the server and its descendants; none without `--watch`.
    pub(crate) cpu_ns: Option<u64>,
    /// Whether one of its threads ended in the window: then part of it is only known to 10 ms.
    pub(crate) cpu_is_coarse: bool,
    pub(crate) load_cpu_ns: u64,
    pub(crate) upstream_cpu_ns: Option<u64>,
    pub(crate) latency_us: Latency,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resumed: Option<u64>,
    /// Nanoseconds of each of the server's threads that used any, the busiest first.
    pub(crate) workers: Vec<u64>,
}

/// Microseconds, to three digits.
#[derive(Debug, Serialize)]
pub(crate) struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

/// Bytes that are private to the server, and written to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// Before any connection.
    pub(crate) before: u64,
    /// With all of them open, after one echo each.
    pub(crate) idle: u64,
    /// With all of them open, after the busy phase.
    pub(crate) after_busy: u64,
}

// ===== impl Latency =====

impl From<&Histogram<u64>> for Latency {
    fn from(nanos: &Histogram<u64>) -> Self {
        let micros = |nanos: u64| nanos as f64 / 1000.0;
        let quantile = |quantile| micros(nanos.value_at_quantile(quantile));
        Self {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: micros(nanos.max()),
        }
    }
}
