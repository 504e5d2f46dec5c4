//! The first program of the README is the one that is compiled.

use super::{Complaint, Source};

/// Compares the block between the markers with the example, word for word.
pub(super) fn check(sources: &[Source]) -> Option<Complaint> {
    let find = |path| sources.iter().find(|source| source.path == path);
    let readme = find(README)?;
    let Some(example) = find(EXAMPLE) else {
        return Some(readme.complain(0, format!("shows {EXAMPLE}, which is gone")));
    };
    let Some((line, block)) = block(readme) else {
        let what = format!("{EXAMPLE} must stand in a ```rust block between {BEGIN} and {END}");
        return Some(readme.complain(0, what));
    };
    if block == example.text {
        return None;
    }
    let same = block
        .lines()
        .zip(example.text.lines())
        .take_while(|(a, b)| a == b)
        .count();
    Some(readme.complain(line + same, format!("differs from {EXAMPLE}:{}", same + 1)))
}

/// What stands between the fences, and the line it begins on.
fn block(readme: &Source) -> Option<(usize, &str)> {
    let (before, rest) = readme.text.split_once(BEGIN)?;
    let (between, _) = rest.split_once(END)?;
    let block = between.trim_start().strip_prefix("```rust\n")?;
    let block = block.trim_end().strip_suffix("```")?;
    let begins = before.len() + BEGIN.len() + (between.len() - between.trim_start().len());
    // The fence itself is the line before.
    Some((readme.text[..begins].lines().count() + 2, block))
}

const README: &str = "README.md";
const EXAMPLE: &str = "examples/quick-start/src/main.rs";
const BEGIN: &str = "<!-- quick-start -->";
const END: &str = "<!-- /quick-start -->";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{printed, source};

    #[track_caller]
    fn check(readme: &str, expected: &[&str]) {
        let sources = [source(README, readme), source(EXAMPLE, "fn main() {\n}\n")];
        assert_eq!(printed(super::check(&sources)), expected);
    }

    #[test]
    fn the_same_words() {
        check(
            "# T\n<!-- quick-start -->\n```rust\nfn main() {\n}\n```\n<!-- /quick-start -->\n",
            &[],
        );
    }

    #[test]
    fn other_words_are_pointed_at() {
        check(
            "# T\n<!-- quick-start -->\n```rust\nfn main() {\n    a();\n}\n```\n<!-- /quick-start -->\n",
            &["README.md:5: differs from examples/quick-start/src/main.rs:2"],
        );
    }

    #[test]
    fn a_readme_without_the_block() {
        let complaint = "README.md: examples/quick-start/src/main.rs must stand in a ```rust block \
                         between <!-- quick-start --> and <!-- /quick-start -->";
        check("# T\n", &[complaint]);
        check(
            "<!-- quick-start -->\nfn main() {}\n<!-- /quick-start -->\n",
            &[complaint],
        );
    }

    #[test]
    fn no_readme_no_complaint() {
        assert_eq!(super::check(&[source(EXAMPLE, "")]), None);
    }
}
