//! Rules for every text file, and a few for Rust.

use super::{Complaint, Source};

/// White space, leftovers, length, and words that belong to one machine.
pub(super) fn check(source: &Source) -> Vec<Complaint> {
    let rust = source.path.ends_with(".rs");
    let mut complaints = Vec::new();
    if !source.text.is_empty() && !source.text.ends_with('\n') {
        complaints.push(source.complain(0, "does not end in a newline"));
    }
    if source.text.ends_with("\n\n") {
        complaints.push(source.complain(0, "ends in an empty line"));
    }
    for (number, line) in source.lines() {
        if line.trim_end() != line {
            complaints.push(source.complain(number, "white space at the end of the line"));
        }
        if rust && line.contains('\t') {
            complaints.push(source.complain(number, "a tab; write \\t, or spaces"));
        }
        let leftovers = LEFTOVERS
            .iter()
            .filter(|word| rust && line.contains(**word));
        complaints.extend(leftovers.map(|word| {
            source.complain(
                number,
                format!("{word}: finish it, or write down why it is as it is"),
            )
        }));
        let line = line.replace(ANYBODY, "");
        let local = LOCAL.iter().filter(|word| line.contains(**word));
        complaints.extend(local.map(|word| {
            source.complain(
                number,
                format!("{word:?} means something on one machine only"),
            )
        }));
        let lower = line.to_lowercase();
        let making = MAKING.iter().filter(|word| lower.contains(**word));
        complaints.extend(making.map(|word| {
            source.complain(
                number,
                format!("{word:?} speaks of how this was made, not of what it is"),
            )
        }));
    }
    complaints.extend(too_long(source));
    complaints
}

fn too_long(source: &Source) -> Option<Complaint> {
    let lines = source.text.lines().count();
    let listed = LONG.iter().any(|(path, _)| *path == source.path);
    let long = source.path.ends_with(".rs") && lines > LINES && !listed;
    long.then(|| {
        let this = file!();
        let what = format!("{lines} lines; split what is more than {LINES}, or list it in {this}");
        source.complain(0, what)
    })
}

/// A file that is longer has more than one subject, as a rule.
const LINES: usize = 400;

/// Rust files that may be longer, each with the reason.
const LONG: &[(&str, &str)] = &[];

// Put together from halves, so that this file does not complain of itself.

/// Marks of unfinished work. Clippy knows the macros, but not in code that is compiled out.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("dbg", "!("),
];

/// Paths of one person's machine.
const LOCAL: &[&str] = &[
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("/wo", "rk/"),
    concat!("../sha", "red"),
];

/// The home that examples may speak of.
const ANYBODY: &str = concat!("/ho", "me/me/");

/// Words about the making, in lower case. A reader wants the thing.
const MAKING: &[&str] = &[
    concat!("anth", "ropic"),
    concat!("bri", "ef.md"),
    concat!("chat", "gpt"),
    concat!("cla", "ude"),
    concat!("co-auth", "ored-by"),
    concat!("co", "pilot"),
    concat!("des", "ign.md"),
    concat!("langu", "age model"),
    concat!("open", "ai"),
    concat!("sub", "agent"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::testing::{printed, source};

    #[track_caller]
    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(printed(super::check(&source(path, text))), expected);
    }

    #[test]
    fn a_clean_file_is_left_in_peace() {
        check("a.rs", "fn a() {}\n", &[]);
        check("empty.md", "", &[]);
    }

    #[test]
    fn the_end_of_a_file_is_one_newline() {
        check("a.md", "text", &["a.md: does not end in a newline"]);
        check("a.md", "text\n\n", &["a.md: ends in an empty line"]);
    }

    #[test]
    fn white_space_nobody_sees() {
        check(
            "a.md",
            "text \n",
            &["a.md:1: white space at the end of the line"],
        );
        check(
            "a.rs",
            "fn a() {\n\tb()\n}\n",
            &["a.rs:2: a tab; write \\t, or spaces"],
        );
        check("Makefile", "all:\n\tcargo\n", &[]);
    }

    #[test]
    fn leftovers_in_rust() {
        for word in LEFTOVERS {
            let complaint = format!("a.rs:1: {word}: finish it, or write down why it is as it is");
            check("a.rs", &format!("// {word}x\n"), &[&complaint]);
            check("a.md", &format!("{word}\n"), &[]);
        }
    }

    #[test]
    fn paths_of_one_machine_in_any_file() {
        for word in LOCAL {
            let complaint = format!("a.md:1: {word:?} means something on one machine only");
            check("a.md", &format!("see {word}x\n"), &[&complaint]);
        }
        check("a.md", &format!("see {ANYBODY}x\n"), &[]);
    }

    #[test]
    fn words_about_the_making_in_any_case() {
        for word in MAKING {
            let complaint =
                format!("a.md:1: {word:?} speaks of how this was made, not of what it is");
            check(
                "a.md",
                &format!("see {}x\n", word.to_uppercase()),
                &[&complaint],
            );
        }
    }

    #[test]
    fn four_hundred_lines_of_rust_are_enough() {
        check("a.rs", &"//\n".repeat(LINES), &[]);
        let complaint =
            "a.rs: 401 lines; split what is more than 400, or list it in xtask/src/tidy/text.rs";
        check("a.rs", &"//\n".repeat(LINES + 1), &[complaint]);
        check("a.md", &"-\n".repeat(LINES + 1), &[]);
    }
}
