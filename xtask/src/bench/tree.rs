//! What divan prints: a tree of benchmarks, with the times of each leaf when it measures them.

/// A benchmark.
#[derive(Debug, PartialEq)]
pub(super) struct Leaf {
    /// Its name and those of the groups it is in, with slashes between.
    pub(super) path: String,
    /// The fastest sample, in picoseconds. What disturbs a measurement only ever makes it slower, so
    /// this one is the most like itself from run to run.
    pub(super) fastest: Option<u64>,
}

/// The benchmarks, in the order in which they were run.
pub(super) fn leaves(printed: &str) -> Vec<Leaf> {
    let lines: Vec<_> = printed.lines().filter_map(Line::parse).collect();
    let mut groups: Vec<&str> = Vec::new();
    let mut leaves = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        groups.truncate(line.depth);
        groups.push(line.name);
        let has_children = lines
            .get(at + 1)
            .is_some_and(|next| next.depth > line.depth);
        if !has_children {
            let fastest = line.fastest.and_then(picoseconds);
            let path = groups.join("/");
            leaves.push(Leaf { path, fastest });
        }
    }
    leaves
}

/// A line that names something: throughput and allocations have lines of their own below it.
struct Line<'a> {
    depth: usize,
    name: &'a str,
    fastest: Option<&'a str>,
}

// ===== impl Line =====

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = BRANCHES.iter().find_map(|branch| line.split_once(branch))?;
        let first = after.split('│').next().unwrap_or(after);
        // At least two spaces stand before the first column.
        let (name, fastest) = match first.split_once("  ") {
            Some((name, fastest)) => (name, Some(fastest.trim())),
            None => (first.trim_end(), None),
        };
        Some(Self {
            depth: before.chars().count() / INDENT,
            name,
            fastest,
        })
    }
}

fn picoseconds(time: &str) -> Option<u64> {
    let (number, unit) = time.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "times are positive, and shorter than half a year"
    )]
    let picoseconds = (number * scale).round() as u64;
    Some(picoseconds)
}

const BRANCHES: [&str; 2] = ["├─ ", "╰─ "];

/// Characters for each level of the tree.
const INDENT: usize = 3;

const UNITS: &[(&str, f64)] = &[
    ("ps", 1.0),
    ("ns", 1e3),
    ("µs", 1e6),
    ("ms", 1e9),
    ("s", 1e12),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(printed: &str, expected: &[(&str, Option<u64>)]) {
        let leaves = leaves(printed);
        let leaves: Vec<_> = leaves
            .iter()
            .map(|leaf| (leaf.path.as_str(), leaf.fastest))
            .collect();
        assert_eq!(leaves, expected);
    }

    #[test]
    fn leaves_have_the_names_of_their_groups() {
        check(
            "costs\n\
             ├─ handshake\n\
             │  ├─ open\n\
             │  │  ├─ Bare\n\
             │  │  ╰─ Drained\n\
             │  ╰─ upgrade_pair\n\
             ╰─ message\n\
             \x20  ╰─ echo\n\
             \x20     ╰─ Bare\n\
             \x20        ├─ 64\n\
             \x20        ╰─ 16384\n\n",
            &[
                ("handshake/open/Bare", None),
                ("handshake/open/Drained", None),
                ("handshake/upgrade_pair", None),
                ("message/echo/Bare/64", None),
                ("message/echo/Bare/16384", None),
            ],
        );
    }

    #[test]
    fn the_fastest_time_is_read_and_the_rest_passed_over() {
        check(
            "Timer precision: 18 ns\n\
             frame                         fastest       │ slowest       │ median        │ mean          │ samples │ iters\n\
             ├─ build_close                29.85 ns      │ 349.5 ns      │ 30.52 ns      │ 136.6 ns      │ 3       │ 9\n\
             ├─ parse_header                             │               │               │               │         │\n\
             │  ╰─ 16                      1.652 µs      │ 50.52 µs      │ 26.85 µs      │ 31.3 µs       │ 3       │ 9\n\
             ╰─ track                                    │               │               │               │         │\n\
             \x20  ╰─ 64                      61 ms         │ 81.67 ms      │ 71.21 ms      │ 71.36 ms      │ 3       │ 9\n\
             \x20                             4.283 GB/s    │ 3.209 GB/s    │ 3.68 GB/s     │ 3.673 GB/s    │         │\n\
             \x20                             alloc:        │               │               │               │         │\n",
            &[
                ("build_close", Some(29_850)),
                ("parse_header/16", Some(1_652_000)),
                ("track/64", Some(61_000_000_000)),
            ],
        );
    }

    #[test]
    fn what_was_not_run_has_no_time() {
        check(
            "frame\n╰─ slow  (ignored)     │       │\n",
            &[("slow", None)],
        );
        check("", &[]);
    }
}
