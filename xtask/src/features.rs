//! `cargo xtask features`: every crate with no feature, with each alone, and with all.
//!
//! "Features only add" is easily said and easily broken: an import that is used under one feature
//! only, a dependency that another feature happened to switch on. All pairs would be slow and have
//! never found more here.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// A feature and what it enables, as in a manifest.
type Features = BTreeMap<String, Vec<String>>;

/// Runs clippy, with warnings as errors, over every combination of every member with features.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    for package in &workspace.packages {
        for features in combinations(&package.features) {
            let mut cargo = process::cargo(&workspace.root);
            cargo.args(["clippy", "--quiet", "--package", &package.name]);
            cargo.args(["--no-default-features", "--features", &features.join(",")]);
            // Not the tests: their dependencies would switch features back on.
            process::run(cargo.args(["--", "--deny", "warnings"]))?;
        }
    }
    Ok(())
}

/// The lists of features to check: none, each alone, all; what enables the same things but once.
fn combinations(features: &Features) -> Vec<Vec<&str>> {
    if features.is_empty() {
        return Vec::new();
    }
    let alone = features.keys().map(|feature| vec![feature.as_str()]);
    let all = features
        .keys()
        .map(String::as_str)
        .filter(|f| *f != "default")
        .collect();
    let mut seen = BTreeSet::new();
    std::iter::once(Vec::new())
        .chain(alone)
        .chain([all])
        .filter(|chosen| seen.insert(enabled(features, chosen)))
        .collect()
}

/// What a choice comes to: the features and dependencies it switches on, directly or not.
fn enabled<'a>(features: &'a Features, chosen: &[&'a str]) -> BTreeSet<&'a str> {
    let mut enabled = BTreeSet::new();
    let mut open = chosen.to_vec();
    while let Some(feature) = open.pop() {
        // `default` is only a name for others.
        if feature != "default" && !enabled.insert(feature) {
            continue;
        }
        open.extend(
            features
                .get(feature)
                .into_iter()
                .flatten()
                .map(String::as_str),
        );
    }
    enabled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(manifest: &[(&str, &[&str])], expected: &[&str]) {
        let strings = |names: &&[&str]| names.iter().map(|&name| name.into()).collect();
        let features = manifest
            .iter()
            .map(|(name, on)| ((*name).into(), strings(on)))
            .collect();
        let found: Vec<_> = combinations(&features)
            .iter()
            .map(|c| c.join(","))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_crate_without_features_is_left_to_the_ordinary_build() {
        check(&[], &[]);
    }

    #[test]
    fn none_each_and_all() {
        check(&[("a", &[]), ("b", &["dep:x"])], &["", "a", "b", "a,b"]);
    }

    #[test]
    fn a_lone_feature_is_all_of_them() {
        check(&[("a", &["dep:x"])], &["", "a"]);
    }

    #[test]
    fn what_comes_to_the_same_is_checked_once() {
        check(
            &[
                ("default", &["layer", "proxy"]),
                ("layer", &[]),
                ("proxy", &["layer"]),
            ],
            &["", "default", "layer"],
        );
        check(
            &[("default", &[]), ("a", &[]), ("b", &["a"])],
            &["", "a", "b"],
        );
    }

    #[test]
    fn features_that_name_each_other_come_to_an_end() {
        check(&[("a", &["b"]), ("b", &["a"])], &["", "a"]);
    }
}
