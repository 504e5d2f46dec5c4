//! What grows with the tunnels, for one of them.

use std::collections::BTreeSet;

use super::profile::{Live, Profile};

/// What one place allocates for a tunnel. A block that many tunnels share is a part of one.
#[derive(Debug, PartialEq)]
pub(super) struct Row<'a> {
    bytes: f64,
    blocks: f64,
    who: &'a str,
}

/// What `many` has more than `few`, divided among so many tunnels; the largest first.
pub(super) fn rows<'a>(few: &'a Profile, many: &'a Profile, tunnels: u32) -> Vec<Row<'a>> {
    let places: BTreeSet<_> = few.live.keys().chain(many.live.keys()).collect();
    let rows = places.into_iter().map(|who| {
        let live = |profile: &Profile| profile.live.get(who).copied().unwrap_or_default();
        let (few, many): (Live, Live) = (live(few), live(many));
        Row {
            bytes: difference(few.bytes, many.bytes) / f64::from(tunnels),
            blocks: difference(few.blocks, many.blocks) / f64::from(tunnels),
            who,
        }
    });
    let mut rows: Vec<_> = rows.filter(|row| row.bytes != 0.0).collect();
    rows.sort_by(|a, b| b.bytes.total_cmp(&a.bytes));
    rows
}

/// A line for every row of blocks over [`SMALL`] bytes, and one for all others together.
pub(super) fn table(rows: &[Row<'_>]) -> String {
    let line = |bytes: f64, blocks: f64, size: &str, who: &str| {
        format!("{bytes:>8.1}  {blocks:>6.2}  {size:>6}  {who}\n")
    };
    let mut table = format!(
        "{:>8}  {:>6}  {:>6}  allocated by\n",
        "bytes", "blocks", "size"
    );
    let (large, small): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.is_large());
    for row in large {
        let size = row
            .size()
            .map_or_else(String::new, |size| format!("{size:.0}"));
        table += &line(row.bytes, row.blocks, &size, row.who);
    }
    let sum = |rows: &mut dyn Iterator<Item = &Row<'_>>| {
        rows.fold((0.0, 0.0), |(bytes, blocks), row| {
            (bytes + row.bytes, blocks + row.blocks)
        })
    };
    let (bytes, blocks) = sum(&mut small.iter().copied());
    let others = format!(
        "{} places with blocks of at most {SMALL} bytes",
        small.len()
    );
    table += &line(bytes, blocks, "", &others);
    let (bytes, blocks) = sum(&mut rows.iter());
    table
        + &line(
            bytes,
            blocks,
            "",
            "all of it, as asked for: malloc adds about 12 bytes to a block",
        )
}

#[expect(clippy::cast_precision_loss, reason = "a heap of less than a petabyte")]
fn difference(few: u64, many: u64) -> f64 {
    many as f64 - few as f64
}

// ===== impl Row =====

impl Row<'_> {
    /// Of one block; `None` where blocks have only changed their size.
    fn size(&self) -> Option<f64> {
        (self.blocks != 0.0).then(|| self.bytes / self.blocks)
    }

    fn is_large(&self) -> bool {
        self.size().is_none_or(|size| size.abs() > f64::from(SMALL))
    }
}

/// In bytes.
const SMALL: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(live: &[(&str, u64, u64)]) -> Profile {
        let live = live
            .iter()
            .map(|&(who, bytes, blocks)| (who.to_owned(), Live { bytes, blocks }));
        Profile {
            live: live.collect(),
        }
    }

    #[test]
    fn only_what_grows_is_a_tunnels() {
        let few = profile(&[
            ("once", 5000, 1),
            ("each", 1000, 10),
            ("small", 320, 10),
            ("table", 100, 1),
        ]);
        let many = profile(&[
            ("once", 5000, 1),
            ("each", 3000, 30),
            ("small", 960, 30),
            ("table", 900, 1),
            ("shared", 8000, 2),
        ]);
        assert_eq!(
            table(&rows(&few, &many, 20)),
            "   bytes  blocks    size  allocated by\n\
             \x20  400.0    0.10    4000  shared\n\
             \x20  100.0    1.00     100  each\n\
             \x20   40.0    0.00          table\n\
             \x20   32.0    1.00          1 places with blocks of at most 64 bytes\n\
             \x20  572.0    2.10          all of it, as asked for: malloc adds about 12 bytes to a block\n"
        );
    }

    #[test]
    fn what_shrinks_counts_against_the_rest() {
        let few = profile(&[("old", 600, 2)]);
        let many = profile(&[("new", 1600, 4)]);
        let rows = rows(&few, &many, 10);
        let bytes: Vec<_> = rows.iter().map(|row| (row.who, row.bytes)).collect();
        assert_eq!(bytes, [("new", 160.0), ("old", -60.0)]);
    }
}
