//! The files that valgrind's DHAT writes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::backtrace;

/// What was live at the end, by who allocated it.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) live: BTreeMap<String, Live>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) bytes: u64,
    pub(super) blocks: u64,
}

/// The part of the file that we read; `dhat/dh_main.c` in valgrind's source describes it.
#[derive(Deserialize)]
struct File {
    /// Program points: places that allocate, told apart by their whole backtraces.
    pps: Vec<Point>,
    /// The frames, which the points name by their places in here.
    ftbl: Vec<String>,
}

#[derive(Deserialize)]
struct Point {
    /// Bytes at the end.
    #[serde(rename = "eb")]
    bytes: u64,
    /// Blocks at the end.
    #[serde(rename = "ebk")]
    blocks: u64,
    /// The innermost first.
    #[serde(rename = "fs")]
    frames: Vec<usize>,
}

// ===== impl Profile =====

impl Profile {
    pub(super) fn load(file: &Path) -> Result<Self> {
        let json = fs::read_to_string(file)
            .with_context(|| format!("valgrind left no {}", file.display()))?;
        Self::parse(&json).with_context(|| format!("{} is no profile of DHAT", file.display()))
    }

    fn parse(json: &str) -> Result<Self> {
        let File { pps, ftbl } = serde_json::from_str(json)?;
        let mut profile = Self::default();
        for point in pps.iter().filter(|point| point.blocks > 0) {
            let frames = point.frames.iter();
            let frames = frames.map(|&at| ftbl.get(at).map(String::as_str));
            let frames: Option<Vec<_>> = frames.collect();
            let frames = frames.context("a frame is missing")?;
            let live = profile.live.entry(backtrace::shorten(&frames)).or_default();
            live.bytes += point.bytes;
            live.blocks += point.blocks;
        }
        Ok(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_live_is_summed_by_who_allocated_it() {
        let json = r#"{
            "dhatFileVersion": 2,
            "pps": [
                { "tb": 900, "tbk": 9, "eb": 300, "ebk": 3, "fs": [1, 2] },
                { "tb": 100, "tbk": 1, "eb": 100, "ebk": 1, "fs": [1, 2, 3] },
                { "tb": 100, "tbk": 1, "eb": 0, "ebk": 0, "fs": [1, 3] }
            ],
            "ftbl": [
                "[root]",
                "0x1: malloc (in /usr/libexec/valgrind/vgpreload_dhat-amd64-linux.so)",
                "0x2: hyper::upgrade::pending (src/upgrade.rs:144)",
                "0x3: main (main.c:1)"
            ]
        }"#;
        let live = Profile::parse(json).unwrap().live;
        let expected = |bytes, blocks| Live { bytes, blocks };
        assert_eq!(
            live.into_iter().collect::<Vec<_>>(),
            [
                (
                    "hyper::upgrade::pending (src/upgrade.rs:144)".to_owned(),
                    expected(300, 3)
                ),
                (
                    "hyper::upgrade::pending (src/upgrade.rs:144) < main (main.c:1)".to_owned(),
                    expected(100, 1)
                ),
            ]
        );
    }

    #[test]
    fn a_frame_that_is_missing_is_an_error() {
        let json = r#"{"pps": [{"eb": 1, "ebk": 1, "fs": [7]}], "ftbl": ["[root]"]}"#;
        assert!(Profile::parse(json).is_err());
    }
}
