//! Relative links in Markdown lead to files that are there.

use super::{Complaint, Source};

/// Checks `[text](target)`, `![picture](target)`, `[name]: target` and HTML's `src` and `href`.
pub(super) fn check(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Complaint> {
    if !source.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = source
        .path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let mut complaints = Vec::new();
    let mut in_code = false;
    for (number, line) in source.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(&without_code(line)) {
            let Some(path) = local(target) else { continue };
            match resolve(folder, path) {
                Some(path) if exists(&path) => {}
                Some(path) => {
                    complaints.push(source.complain(number, format!("no such file: {path}")))
                }
                None => complaints
                    .push(source.complain(number, format!("{path} leaves the repository"))),
            }
        }
    }
    complaints
}

/// What the links of a line lead to.
fn targets(line: &str) -> Vec<&str> {
    let mut targets = Vec::new();
    for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
        let links = line.split(open).skip(1);
        targets.extend(
            links
                .filter_map(|rest| rest.split_once(close))
                .map(|(target, _)| target),
        );
    }
    if line.starts_with('[')
        && let Some((_, target)) = line.split_once("]: ")
    {
        targets.push(target);
    }
    // A title may follow: [text](target "title").
    targets
        .into_iter()
        .filter_map(|target| target.split_whitespace().next())
        .collect()
}

/// The line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The path of a target that is a file of ours; nothing for another site or a heading of the page.
fn local(target: &str) -> Option<&str> {
    let foreign = target.contains("://") || target.starts_with("mailto:");
    let path = target.split(['#', '?']).next().unwrap_or_default();
    (!foreign && !path.is_empty()).then_some(path)
}

/// The path from the root of the repository; nothing when it climbs out.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = if path.starts_with('/') {
        Vec::new()
    } else {
        folder.split('/').filter(|part| !part.is_empty()).collect()
    };
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use crate::tidy::testing::{printed, source};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let exists =
            |path: &str| ["README.md", "docs/nginx.md", "docs/chat.png", "docs"].contains(&path);
        let found = super::check(&source("docs/page.md", text), exists);
        assert_eq!(printed(found), expected, "{text}");
    }

    #[test]
    fn links_that_lead_somewhere() {
        check(
            "[nginx](nginx.md) and [home](../README.md#map), ![chat](./chat.png \"a chat\")\n",
            &[],
        );
        check(
            "[root](/README.md) <img src=\"chat.png\"> <a href=\"../docs/\">docs</a>\n",
            &[],
        );
        check("[nginx]: nginx.md\n", &[]);
    }

    #[test]
    fn links_that_are_not_ours_to_check() {
        check(
            "[a](https://example.com/x.md) [b](#here) [c](mailto:a@example.com)\n",
            &[],
        );
    }

    #[test]
    fn links_that_lead_nowhere() {
        check(
            "\n[gone](gone.md)\n",
            &["docs/page.md:2: no such file: docs/gone.md"],
        );
        check(
            "[gone]: ../gone.md\n",
            &["docs/page.md:1: no such file: gone.md"],
        );
        check(
            "<img src=\"gone.png\">\n",
            &["docs/page.md:1: no such file: docs/gone.png"],
        );
        check(
            "[out](../../out.md)\n",
            &["docs/page.md:1: ../../out.md leaves the repository"],
        );
    }

    #[test]
    fn code_holds_no_links() {
        check("```rust\na[0](gone.md)\n```\n", &[]);
        check(
            "an index `a[0](gone)` and [a link](gone.md)\n",
            &["docs/page.md:1: no such file: docs/gone.md"],
        );
    }

    #[test]
    fn only_markdown_has_links() {
        let found = super::check(&source("a.rs", "// [a](gone.md)\n"), |_| false);
        assert_eq!(printed(found), [""; 0]);
    }
}
