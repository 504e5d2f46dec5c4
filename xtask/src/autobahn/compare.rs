//! What client and upstream told of each case, and what differs in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// By number of the case, what each side told.
pub(crate) type Told = BTreeMap<String, Sides>;

/// What both sides told of a case: verdict, code, reason, who closed, and whatever else they know of the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sides {
    pub(crate) client: Map<String, Value>,
    pub(crate) upstream: Map<String, Value>,
}

/// One thing that was different through the gateway.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// Who told it.
    pub(crate) seen_by: &'static str,
    pub(crate) what: String,
    pub(crate) direct: String,
    pub(crate) through: String,
}

/// A line of JSON that one side wrote: the number of the case, and the rest.
///
/// # Errors
///
/// When it is no object with a case.
pub(crate) fn parse(line: &str) -> Result<(String, Map<String, Value>)> {
    let mut map: Map<String, Value> =
        serde_json::from_str(line).with_context(|| format!("not an object: {line}"))?;
    let case = map.remove("case");
    let case = case.as_ref().and_then(Value::as_str);
    let case = case.with_context(|| format!("no case in {line}"))?;
    Ok((case.to_owned(), map))
}

/// By number, the cases in which anything differs, and what. A case that one of the two lacks differs in all.
pub(crate) fn differences(direct: &Told, through: &Told) -> BTreeMap<String, Vec<Difference>> {
    let cases: BTreeSet<_> = direct.keys().chain(through.keys()).collect();
    let nothing = Sides::default();
    let differences = cases.into_iter().map(|case| {
        let direct = direct.get(case).unwrap_or(&nothing);
        let through = through.get(case).unwrap_or(&nothing);
        let client = between("client", &direct.client, &through.client);
        let upstream = between("upstream", &direct.upstream, &through.upstream);
        (case.clone(), client.chain(upstream).collect::<Vec<_>>())
    });
    differences.filter(|(_, found)| !found.is_empty()).collect()
}

/// The cases that the client does not call passed.
pub(crate) fn failed(told: &Told) -> Vec<String> {
    let failed = told.iter().filter(|(_, sides)| {
        let verdict = |what| sides.client.get(what).and_then(Value::as_str);
        ["verdict", "verdict on the end"]
            .into_iter()
            .any(|what| !verdict(what).is_some_and(|verdict| PASSED.contains(&verdict)))
    });
    failed.map(|(case, _)| case.clone()).collect()
}

/// How many cases have which verdict.
pub(crate) fn verdicts(told: &Told) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for sides in told.values() {
        let verdict = sides.client.get("verdict").and_then(Value::as_str);
        *counts.entry(verdict.unwrap_or("none")).or_default() += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    counts.join(", ")
}

fn between<'a>(
    seen_by: &'static str,
    direct: &'a Map<String, Value>,
    through: &'a Map<String, Value>,
) -> impl Iterator<Item = Difference> + 'a {
    let keys: BTreeSet<_> = direct.keys().chain(through.keys()).collect();
    let differ = keys
        .into_iter()
        .filter(|key| direct.get(*key) != through.get(*key));
    let said = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    differ.map(move |key| Difference {
        seen_by,
        what: key.clone(),
        direct: said(direct.get(key)),
        through: said(through.get(key)),
    })
}

/// A verdict that the suite calls passed. What is informational, nobody can fail.
const PASSED: &[&str] = &["OK", "NON-STRICT", "INFORMATIONAL"];

// ===== impl Difference =====

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seen_by,
            what,
            direct,
            through,
        } = self;
        write!(
            f,
            "{what} of the {seen_by}: directly {direct}, here {through}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cases: &[(&str, &str, &str)]) -> Told {
        let told = cases.iter().map(|(case, client, upstream)| {
            let map = |json: &str| serde_json::from_str(json).unwrap();
            let (client, upstream) = (map(client), map(upstream));
            ((*case).to_owned(), Sides { client, upstream })
        });
        told.collect()
    }

    const FINE: &str = r#"{"verdict": "OK", "verdict on the end": "OK", "received code": 1000}"#;

    #[test]
    fn another_code_differs_on_whichever_side() {
        let direct = told(&[("1.1", FINE, r#"{"received code": 1000}"#)]);
        assert!(differences(&direct, &direct).is_empty());
        let through = told(&[("1.1", FINE, r#"{"received code": 1006}"#)]);
        let found = differences(&direct, &through);
        assert_eq!(
            found["1.1"][0].to_string(),
            "received code of the upstream: directly 1000, here 1006"
        );
    }

    #[test]
    fn a_case_that_never_came_to_an_end_differs() {
        let direct = told(&[("1.1", FINE, "{}"), ("1.2", FINE, "{}")]);
        let through = told(&[("1.1", FINE, "{}")]);
        assert!(differences(&direct, &through).contains_key("1.2"));
        assert!(differences(&through, &direct).contains_key("1.2"));
    }

    #[test]
    fn a_verdict_that_is_bad_or_missing_is_a_failure() {
        let bad = r#"{"verdict": "OK", "verdict on the end": "UNCLEAN"}"#;
        let told = told(&[("1", FINE, "{}"), ("2", bad, "{}"), ("3", "{}", "{}")]);
        assert_eq!(failed(&told), ["2", "3"]);
        assert_eq!(verdicts(&told), "2 OK, 1 none");
    }

    #[test]
    fn a_line_has_a_case() {
        let (case, rest) = parse(r#"{"case": "1.1", "clean": true}"#).unwrap();
        assert_eq!((case.as_str(), rest.len()), ("1.1", 1));
        assert!(parse(r#"{"clean": true}"#).is_err());
        assert!(parse("Traceback").is_err());
    }
}
