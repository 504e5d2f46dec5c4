//! What is read in a sample, and the spread of it over the rounds.

use super::results::Sample;

/// A figure that samples have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// CPU of the proxy for each message, echo or handshake.
    CpuPerMessage,
    /// CPU of the proxy for each MiB of payload that went to the upstream and came back.
    CpuPerMib,
    /// What one CPU of the proxy does in a second.
    PerCpuSecond,
    /// Memory a tunnel after one echo.
    IdleMemory,
    /// Memory a tunnel after the busy phase.
    BusyMemory,
    MedianLatency,
    TailLatency,
    Throughput,
    Syscalls,
}

/// The samples of one peer in one scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

// ===== impl Measure =====

impl Measure {
    /// Nothing where the sample has no such figure.
    pub(crate) fn of(self, sample: &Sample) -> Option<f64> {
        let messages = some(sample.messages)?;
        let micros = |nanos: u64| nanos as f64 / 1e3;
        let memory = |bytes: u64| {
            let before = sample.memory?.before;
            let tunnels = some(sample.connections)?;
            // What a proxy gives back while it rests can make it smaller than it was.
            Some((bytes as f64 - before as f64) / 1024.0 / tunnels)
        };
        match self {
            Self::CpuPerMessage => Some(micros(sample.cpu_ns?) / messages),
            Self::CpuPerMib => {
                let mib = some(sample.bytes)? / f64::from(1 << 20);
                Some(micros(sample.cpu_ns?) / mib)
            }
            Self::PerCpuSecond => Some(messages * 1e9 / some(sample.cpu_ns?)?),
            Self::IdleMemory => memory(sample.memory?.idle),
            Self::BusyMemory => memory(sample.memory?.after_busy),
            Self::MedianLatency => Some(sample.latency_us?.p50),
            Self::TailLatency => Some(sample.latency_us?.p99),
            Self::Throughput => Some(messages / sample.seconds),
            Self::Syscalls => Some(sample.syscalls? as f64 / messages),
        }
    }

    /// What it is called where the counted things are `noun`s.
    pub(crate) fn title(self, noun: &str) -> String {
        match self {
            Self::CpuPerMessage => format!("CPU per {noun}"),
            Self::CpuPerMib => "CPU per MiB".to_owned(),
            Self::PerCpuSecond => format!("{noun}s per CPU second"),
            Self::IdleMemory => "memory a tunnel, idle".to_owned(),
            Self::BusyMemory => "memory a tunnel, after a busy phase".to_owned(),
            Self::MedianLatency => "latency, median".to_owned(),
            Self::TailLatency => "latency, 99 %".to_owned(),
            Self::Throughput => format!("{noun}s a second")
                .replace("ys a", "ies a")
                .replace("echos", "echoes"),
            Self::Syscalls => format!("system calls per {noun}"),
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::CpuPerMessage | Self::CpuPerMib => "µs",
            Self::MedianLatency | Self::TailLatency => "µs",
            Self::IdleMemory | Self::BusyMemory => "KiB",
            Self::PerCpuSecond | Self::Throughput | Self::Syscalls => "",
        }
    }

    pub(crate) fn lower_is_better(self) -> bool {
        !matches!(self, Self::PerCpuSecond | Self::Throughput)
    }

    /// For the name of a picture.
    pub(crate) fn slug(self) -> &'static str {
        match self {
            Self::BusyMemory => "-busy",
            _ => "",
        }
    }
}

// ===== impl Spread =====

impl Spread {
    /// Nothing without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, min, max })
    }

    /// Whether some round of one could have been a round of the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

fn some(count: u64) -> Option<f64> {
    (count > 0).then_some(count as f64)
}

/// A figure with three digits that count, and commas between thousands.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ => 2,
    };
    let plain = format!("{value:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::Memory;

    fn sample() -> Sample {
        Sample {
            connections: 4,
            seconds: 2.0,
            messages: 1000,
            bytes: 2 << 20,
            cpu_ns: Some(5_000_000),
            memory: Some(Memory {
                before: 4096,
                idle: 12288,
                after_busy: 2048,
            }),
            ..Sample::default()
        }
    }

    #[track_caller]
    fn check(measure: Measure, expected: Option<f64>) {
        assert_eq!(measure.of(&sample()), expected);
    }

    #[test]
    fn figures_are_those_of_one_thing() {
        check(Measure::CpuPerMessage, Some(5.0));
        check(Measure::CpuPerMib, Some(2500.0));
        check(Measure::PerCpuSecond, Some(200_000.0));
        check(Measure::Throughput, Some(500.0));
        check(Measure::IdleMemory, Some(2.0));
        check(Measure::BusyMemory, Some(-0.5));
    }

    #[test]
    fn what_a_sample_does_not_have_is_no_figure() {
        check(Measure::Syscalls, None);
        check(Measure::TailLatency, None);
        let empty = Sample {
            messages: 0,
            ..sample()
        };
        assert_eq!(Measure::CpuPerMessage.of(&empty), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = |values: &[f64]| Spread::of(values.iter().copied());
        assert_eq!(spread(&[]), None);
        assert_eq!(
            spread(&[3.0, 1.0, 2.0]),
            Some(Spread {
                median: 2.0,
                min: 1.0,
                max: 3.0
            })
        );
        assert_eq!(
            spread(&[4.0, 1.0]),
            Some(Spread {
                median: 2.5,
                min: 1.0,
                max: 4.0
            })
        );
    }

    #[test]
    fn three_digits_count() {
        for (value, expected) in [
            (0.654_3, "0.65"),
            (-0.5, "-0.50"),
            (9.996, "10.0"),
            (48.66, "48.7"),
            (99.96, "100"),
            (1234.5, "1,234"),
            (-1_234_567.0, "-1,234,567"),
        ] {
            assert_eq!(figure(value), expected);
        }
    }
}
