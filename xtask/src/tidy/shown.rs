//! What a table says a test shows, a test shows.

use super::{Complaint, Source};

/// Checks the tables whose last column is headed [`SHOWN_BY`]: each row names tests by their paths, as
/// `module::name`, or commands of ours, and each test is there.
pub(super) fn check(sources: &[Source]) -> Vec<Complaint> {
    let pages = sources.iter().filter(|s| s.path.ends_with(".md"));
    let mut complaints = Vec::new();
    for page in pages {
        for (number, named) in rows(page) {
            if named.is_empty() {
                complaints.push(page.complain(number, "a row names no test that shows it"));
            }
            for name in named {
                if !is_command(name) && !sources.iter().any(|source| holds(source, name)) {
                    complaints.push(page.complain(number, format!("there is no test {name}")));
                }
            }
        }
    }
    complaints
}

/// The rows of such tables, with what stands between backticks in their last column.
fn rows(page: &Source) -> Vec<(usize, Vec<&str>)> {
    let mut rows = Vec::new();
    let mut is_ours = false;
    for (number, line) in page.lines() {
        let Some(row) = line.trim().strip_prefix('|') else {
            is_ours = false;
            continue;
        };
        let row = row.strip_suffix('|').unwrap_or(row);
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == SHOWN_BY {
            is_ours = true;
        } else if is_ours && !row.chars().all(|c| "-:| ".contains(c)) {
            rows.push((number, last.split('`').skip(1).step_by(2).collect()));
        }
    }
    rows
}

fn is_command(name: &str) -> bool {
    name.starts_with("cargo xtask ")
}

/// Whether the file has a test of the path's last name, and is, or holds, the modules before it.
fn holds(source: &Source, path: &str) -> bool {
    let Some((modules, name)) = path.rsplit_once("::") else {
        return false;
    };
    let Some(file) = source.path.strip_suffix(".rs") else {
        return false;
    };
    has_test(&source.text, name)
        && modules.split("::").all(|module| {
            file.split('/').any(|part| part == module)
                || source.text.contains(&format!("mod {module} {{"))
        })
}

/// Whether a function of this name is a test by its attributes, and no helper of one.
fn has_test(text: &str, name: &str) -> bool {
    let signature = format!("fn {name}(");
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let found = (0..lines.len()).filter(|at| lines[*at].contains(&signature));
    let mut attributes = found.flat_map(|at| {
        let before = lines[..at].iter().rev();
        before.take_while(|line| line.starts_with("#[") || line.starts_with("//"))
    });
    attributes.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
}

const SHOWN_BY: &str = "shown by";

#[cfg(test)]
mod tests {
    use crate::tidy::testing::{printed, source};

    #[track_caller]
    fn check(row: &str, expected: &[&str]) {
        let page = format!("# T\n\n| threat | shown by |\n|---|---|\n{row}\n");
        let sources = [
            source("SECURITY.md", &page),
            source("tests/e2e/slow/head.rs", "#[test]\nfn dribbled() {}\n"),
            source(
                "crates/a/src/b.rs",
                "fn helps() {}\nmod tests {\n    #[tokio::test]\n    // Slow.\n    async fn held() {}\n}\n",
            ),
        ];
        assert_eq!(printed(super::check(&sources)), expected, "{row}");
    }

    #[test]
    fn tests_that_are_there() {
        check("| a | `slow::head::dribbled` |", &[]);
        check("| a | `b::tests::held`, `head::dribbled` |", &[]);
        check("| a | `cargo xtask soak` |", &[]);
    }

    #[test]
    fn tests_that_are_not() {
        let gone = |name| format!("SECURITY.md:5: there is no test {name}");
        check("| a | `head::gone` |", &[&gone("head::gone")]);
        check(
            "| a | `head::dribbled`, `body::dribbled` |",
            &[&gone("body::dribbled")],
        );
        check("| a | `dribbled` |", &[&gone("dribbled")]);
        check("| a | `b::helps` |", &[&gone("b::helps")]);
    }

    #[test]
    fn a_row_needs_one() {
        let complaint = "SECURITY.md:5: a row names no test that shows it";
        check("| a | by hand |", &[complaint]);
        check("| a | |", &[complaint]);
    }

    #[test]
    fn other_tables_are_others() {
        let page = source("a.md", "| a | b |\n|---|---|\n| c | d |\n\ntext\n");
        assert_eq!(super::check(&[page]), []);
    }
}
