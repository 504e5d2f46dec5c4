//! The inputs that fuzzing is begun with, for ordinary tests to play through the same laws.
//!
//! `fuzz/seeds` has a file for each target, an input a line in hexadecimal digits: what fuzzing found that
//! reaches something new, and what it found that was wrong. `cargo xtask fuzz --keep` writes them.

use std::fs;
use std::path::Path;
use std::thread;

/// Names the input under way when a law is broken.
struct Playing<'a> {
    target: &'a str,
    line: usize,
}

/// Plays each seed of a target through its law.
///
/// # Panics
///
/// When the law does, having said which seed it was; and when there is no seed, or one that is none.
pub fn replay(target: &str, law: impl Fn(&[u8])) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = here.join("../../fuzz/seeds").join(target);
    let text = fs::read_to_string(&file);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!text.is_empty(), "{} has no seeds", file.display());
    for (line, digits) in (1..).zip(text.lines()) {
        let _playing = Playing { target, line };
        law(&parse(digits).expect("hexadecimal digits, two a byte"));
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

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self { target, line } = self;
            eprintln!("it was seed {line} of fuzz/seeds/{target}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_written_in_digits() {
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(parse("0"), None);
        assert_eq!(parse("0x"), None);
    }
}
