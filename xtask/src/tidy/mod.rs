//! `cargo xtask tidy`: rules about the tree that no compiler knows.
//!
//! Each rule is a function from what it reads to [`Complaint`]s, so that its tests need no tree.

mod edges;
mod links;
mod manifests;
mod quick_start;
mod shown;
mod text;

use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// One thing that is not as it should be, and where.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Complaint {
    /// From the root of the workspace.
    path: String,
    /// Counted from 1; 0 for the file as a whole.
    line: usize,
    what: String,
}

/// A text file of the repository.
struct Source {
    /// From the root of the workspace, with `/` between the parts.
    path: String,
    text: String,
}

/// Applies all rules.
///
/// # Errors
///
/// When a rule is broken; what and where has been printed, a line each.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let sources = sources(workspace)?;
    let exists = |path: &str| workspace.root.join(path).exists();

    let mut complaints = edges::check(workspace);
    complaints.extend(manifests::minimum_rust(
        workspace,
        &workspace.dependencies()?,
    ));
    complaints.extend(quick_start::check(&sources));
    complaints.extend(shown::check(&sources));
    for source in &sources {
        complaints.extend(text::check(source));
        complaints.extend(manifests::check(source));
        complaints.extend(links::check(source, exists));
    }

    complaints.sort();
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        count => bail!("{count} places are not tidy, listed above"),
    }
}

/// The text files that git tracks or, being new, would track.
fn sources(workspace: &Workspace) -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root);
    let list = process::read(git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("tidy looks at the files that git knows")?;
    let mut sources = Vec::new();
    for path in list.split_terminator('\0') {
        let file = workspace.root.join(path);
        // Still tracked, no longer there: deleted in a change that is not yet committed.
        if !file.is_file() {
            continue;
        }
        let bytes = fs::read(&file).with_context(|| format!("cannot read {path}"))?;
        // Pictures and fuzz seeds are not text.
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(sources)
}

// ===== impl Complaint =====

impl Complaint {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

// ===== impl Source =====

impl Source {
    /// The lines with their numbers, counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn complain(&self, line: usize, what: impl Into<String>) -> Complaint {
        Complaint::new(&self.path, line, what)
    }
}

#[cfg(test)]
mod testing {
    use super::{Complaint, Source};

    pub(super) fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// The complaints as they are printed.
    pub(super) fn printed(complaints: impl IntoIterator<Item = Complaint>) -> Vec<String> {
        complaints
            .into_iter()
            .map(|complaint| complaint.to_string())
            .collect()
    }
}
