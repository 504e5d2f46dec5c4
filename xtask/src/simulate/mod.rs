//! `cargo xtask simulate`: how evenly each balancing policy spreads tunnels, for docs/balancing.md.
//!
//! The simulation is a test of `wsgate-proxy`, which writes what it saw. [`samples`] reads it, [`plot`]
//! draws it, and the table of the page is made anew between its two marks.

mod plot;
mod samples;

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use self::samples::{Phase, Samples};
use crate::compare::plot::{DARK, LIGHT};
use crate::process;
use crate::workspace::Workspace;

/// Runs the simulation, and writes the table and the pictures of docs/balancing.md.
///
/// # Errors
///
/// When the test fails, for a policy that does not keep its promises for one, or a file cannot be
/// written.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("simulation");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut test = process::cargo(&workspace.root);
    test.args(["test", "-p", "wsgate-proxy", "--lib", "balance::simulation"]);
    process::run(test.env("WSGATE_SIMULATION", &folder))?;

    let pictures = workspace.root.join("docs/balancing");
    fs::create_dir_all(&pictures).with_context(|| format!("cannot make {}", pictures.display()))?;
    let mut text = String::new();
    for (name, title) in GROUPS {
        let file = folder.join(name).with_extension("csv");
        let csv = fs::read_to_string(&file);
        let csv = csv.with_context(|| format!("the test did not write {}", file.display()))?;
        let samples = Samples::parse(&csv)?;
        for theme in [LIGHT, DARK] {
            let file = pictures.join(format!("{name}-{}.svg", theme.name));
            fs::write(&file, plot::svg(title, &samples, &theme))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        text += &section(name, title, &samples);
    }
    let page = workspace.root.join(PAGE);
    let old = fs::read_to_string(&page).with_context(|| format!("cannot read {PAGE}"))?;
    let new = between_marks(&old, &text)?;
    fs::write(&page, new).with_context(|| format!("cannot write {PAGE}"))?;
    crate::say(&format!("wrote {PAGE}"));
    Ok(())
}

/// A picture and a table.
fn section(name: &str, title: &str, samples: &Samples) -> String {
    let mut text = format!(
        "\n### {title}\n\n\
         <picture>\n  <source media=\"(prefers-color-scheme: dark)\" srcset=\"balancing/{name}-dark.svg\">\n  \
         <img alt=\"{title}: the fullest and the emptiest endpoint over time\" \
         src=\"balancing/{name}-light.svg\">\n</picture>\n\n"
    );
    let phases = samples.phases();
    let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
    let _ = writeln!(text, "| policy | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|{}", "---:|".repeat(names.len()));
    for policy in samples.policies() {
        let cells: Vec<_> = phases
            .iter()
            .map(|phase| cell(samples, policy, phase))
            .collect();
        let _ = writeln!(text, "| `{policy}` | {} |", cells.join(" | "));
    }
    text
}

/// The most that the fullest ever had, and the emptiest at the end.
fn cell(samples: &Samples, policy: &str, phase: &Phase) -> String {
    let all = samples
        .of(policy)
        .filter(|sample| sample.phase == phase.name);
    let (most, last) = all.fold((0.0_f64, 0.0), |(most, _), sample| {
        (most.max(sample.fullest), sample.emptiest)
    });
    format!("{most:.2} · {last:.2}")
}

fn between_marks(page: &str, text: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) =
        parts.with_context(|| format!("{PAGE} must have {BEGIN} and {END} in it"))?;
    Ok(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

/// What the test calls its groups, and what they are.
const GROUPS: [(&str, &str); 2] = [
    ("equal", "Ten equal endpoints"),
    ("mixed", "Ten endpoints with weights of 1, 2, 4 and 8"),
];

const PAGE: &str = "docs/balancing.md";
const BEGIN: &str = "<!-- simulation -->";
const END: &str = "<!-- /simulation -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_most_of_the_fullest_and_the_last_of_the_emptiest() {
        let csv = "policy,phase,time,fullest,emptiest\n\
                   a,steady,0.00,1.50,0.50\na,steady,0.05,1.20,0.75\na,later,0.10,9.00,0.10\n";
        let samples = Samples::parse(csv).unwrap();
        let text = section("equal", "Two", &samples);
        assert!(text.contains("| policy | steady | later |\n"), "{text}");
        assert!(
            text.contains("| `a` | 1.50 · 0.75 | 9.00 · 0.10 |\n"),
            "{text}"
        );
    }

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = "a\n<!-- simulation -->\nold\n<!-- /simulation -->\nb\n";
        let new = between_marks(page, "new").unwrap();
        assert_eq!(
            new,
            "a\n<!-- simulation -->\nnew\n<!-- /simulation -->\nb\n"
        );
        assert_eq!(between_marks(&new, "new").unwrap(), new);
        assert!(between_marks("a\nb\n", "new").is_err());
    }
}
