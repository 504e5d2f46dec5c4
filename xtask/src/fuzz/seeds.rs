//! The files in `fuzz/seeds`: an input a line, in hexadecimal digits, so that a target's inputs are one file and a
//! change of them can be read.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The inputs of a target, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seeds(Vec<Vec<u8>>);

// ===== impl Seeds =====

impl Seeds {
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("{} has no seeds", file.display()))?;
        let inputs = text.lines().map(parse).collect::<Option<_>>();
        let inputs = inputs.with_context(|| format!("{} has other digits", file.display()))?;
        Ok(Self(inputs))
    }

    /// Writes them, and says how many there are.
    pub(super) fn write(&self, file: &Path) -> Result<usize> {
        let digits = |input: &Vec<u8>| {
            let digits: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
            digits + "\n"
        };
        let text: String = self.0.iter().map(digits).collect();
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(self.0.len())
    }

    /// Writes each to a file of its own, and nothing else is in the folder then.
    pub(super) fn unpack(&self, folder: &Path) -> Result<()> {
        let failed = || format!("cannot write to {}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(failed)?;
        }
        fs::create_dir_all(folder).with_context(failed)?;
        for (number, input) in self.0.iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), input).with_context(failed)?;
        }
        Ok(())
    }

    /// Adds the inputs of a folder that are not among them, the shortest first, while there is room. What
    /// is there stays: it may have been found to be wrong once.
    pub(super) fn add(mut self, folder: &Path) -> Result<Self> {
        let failed = || format!("cannot read {}", folder.display());
        let known: HashSet<_> = self.0.iter().cloned().collect();
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).with_context(failed)? {
            let input = fs::read(entry.with_context(failed)?.path()).with_context(failed)?;
            if !known.contains(&input) {
                found.push(input);
            }
        }
        found.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        let room = MOST.saturating_sub(self.0.len());
        self.0.extend(found.into_iter().take(room));
        Ok(self)
    }
}

fn parse(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let bytes = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
        _ => None,
    });
    bytes.collect()
}

/// Enough to begin with, and tests play through all of them.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_as_they_were_and_new_ones_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (file, files) = (folder.path().join("seeds"), folder.path().join("files"));
        let seeds = Seeds(vec![vec![], vec![0, 255], vec![16]]);
        seeds.write(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "\n00ff\n10\n");
        assert_eq!(Seeds::read(&file).unwrap(), seeds);

        seeds.unpack(&files).unwrap();
        fs::write(files.join("b"), [7, 7]).unwrap();
        fs::write(files.join("a"), [8]).unwrap();
        let more = seeds.add(&files).unwrap();
        assert_eq!(more.0[3..], [vec![8], vec![7, 7]]);
        more.unpack(&files).unwrap();
        assert_eq!(fs::read_dir(&files).unwrap().count(), 5);
    }
}
