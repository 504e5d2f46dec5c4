//! `docs/benchmarks.md` and its pictures, out of the results alone.

mod losses;
mod method;
mod tables;
mod targets;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::measures::Measure;
use super::plot::{DARK, LIGHT};
use super::results::Results;
use super::scenarios::{SCENARIOS, Scenario};

/// Writes `benchmarks.md` to `docs`, and the pictures to `docs/benchmarks`.
///
/// # Errors
///
/// When a file cannot be written.
pub(crate) fn write(results: &Results, docs: &Path) -> Result<()> {
    let folder = docs.join("benchmarks");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let write = |path: &Path, text: &str| {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    };
    for scenario in SCENARIOS {
        for measure in scenario.main {
            let Some(chart) = tables::chart(results, scenario, *measure) else {
                continue;
            };
            for theme in [LIGHT, DARK] {
                let name = picture(scenario, *measure, theme.name);
                write(&folder.join(name), &chart.svg(&theme))?;
            }
        }
    }
    write(&docs.join("benchmarks.md"), &markdown(results))
}

/// All tables, for a terminal.
pub(crate) fn summary(results: &Results) -> String {
    let tables = SCENARIOS
        .iter()
        .map(|scenario| tables::plain(results, scenario));
    tables.collect()
}

fn markdown(results: &Results) -> String {
    let mut text = format!(
        "{INTRODUCTION}\n## In short\n\n{SHORT}\n{}\n## Where we lose\n\n{LOSSES}\n{}\n## How it was measured\n\n{}\n{AGAIN}",
        targets::markdown(results),
        losses::markdown(results),
        method::markdown(results)
    );
    for scenario in SCENARIOS {
        let ran = results.runs.iter().any(|run| run.scenario == scenario.name);
        if ran {
            text += &section(results, scenario);
        }
    }
    text + &format!(
        "\n## Is the generator the limit?\n\n{GENERATOR}\n{}",
        method::generator(results)
    )
}

fn section(results: &Results, scenario: &Scenario) -> String {
    let mut text = format!("\n## {}\n\n{}\n\n", scenario.title, scenario.about);
    for measure in scenario.main {
        if tables::chart(results, scenario, *measure).is_some() {
            let of = |theme: &str| format!("benchmarks/{}", picture(scenario, *measure, theme));
            text += &format!(
                "<picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"{}\">\n  <img alt=\"{}: {}, as in the table below\" src=\"{}\">\n</picture>\n\n",
                of(DARK.name),
                scenario.title,
                measure.title(scenario.noun),
                of(LIGHT.name)
            );
        }
    }
    text + &tables::markdown(results, scenario)
}

fn picture(scenario: &Scenario, measure: Measure, theme: &str) -> String {
    format!("{}{}-{theme}.svg", scenario.name, measure.slug())
}

const INTRODUCTION: &str = "\
# Benchmarks

What it costs to pass WebSockets on: `wsgate`, and the library mounted in an axum app, next to the proxies that people use
for it. `cargo xtask compare` writes this page and its pictures; [results.json](benchmarks/results.json) has every run.
";

const SHORT: &str = "\
Multiples are of stock nginx in the same run, unless a table says otherwise. *At most* is what we promise ourselves, *aim* what we are after.
*Floor* is a bare TCP pipe: the same messages read and written by the simplest program there is, without TLS, HTTP or frames. What
is left there is the kernel's, and what stands between it and a proxy is the most that could be saved.
";

const LOSSES: &str = "\
Every figure of this page in which another proxy is better than ours, with what it needs of ours in brackets.
";

const AGAIN: &str = "\
To do it again, on Debian or a relative of it, as root or with the programs that it asks for installed:

```sh
cargo xtask compare                                      # everything: some 20 minutes
cargo xtask compare --peers nginx,wsgate --scenarios echo-64,idle
cargo xtask compare --quick                              # a trial, whose figures mean nothing
```

[tests/compare](../tests/compare/README.md) tells what is there, and how to compare a build of one's own.
";

const GENERATOR: &str = "\
What generator and upstream use for each message, as medians over all runs, next to the least that any proxy used. A generator
that costs more than the proxy, or that fills its core, would measure itself.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::results::fixture;

    #[test]
    fn the_page_links_to_pictures_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        write(&fixture::results(), dir.path()).unwrap();
        let page = fs::read_to_string(dir.path().join("benchmarks.md")).unwrap();
        let links = ["src=\"", "srcset=\""].map(|mark| page.split(mark).skip(1));
        let links = links
            .into_iter()
            .flatten()
            .filter_map(|rest| rest.split('"').next());
        let links: Vec<_> = links.collect();
        assert_eq!(links.len(), 4, "{links:?}");
        for link in links {
            assert!(dir.path().join(link).is_file(), "{link}");
        }
    }

    #[test]
    fn the_page_has_a_section_for_what_was_run_and_none_for_the_rest() {
        let page = markdown(&fixture::results());
        assert!(page.contains("\n## Echo of 64 B, 64 sockets\n"), "{page}");
        assert!(!page.contains("\n## Full handshakes\n"), "{page}");
    }

    #[test]
    fn the_page_is_tidy() {
        let page = markdown(&fixture::results());
        assert!(page.ends_with('\n') && !page.ends_with("\n\n") && !page.contains("\n\n\n"));
        assert!(page.lines().all(|line| line.trim_end() == line));
    }

    #[test]
    fn the_summary_has_a_line_for_each_peer() {
        let summary = summary(&fixture::results());
        assert_eq!(
            summary
                .lines()
                .filter(|line| line.starts_with("  "))
                .count(),
            6,
            "{summary}"
        );
        assert!(summary.contains("failed: no | answer"), "{summary}");
    }
}
