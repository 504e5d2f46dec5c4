//! What holds for any text that somebody writes into a configuration, or a client into a path. Plain
//! functions, which fuzz targets call as well.

use http::uri::PathAndQuery;

use crate::{
    Endpoint,
    path::{PathRule, Unmapped},
    upstream::parse_endpoints,
};

/// The lines of a file of endpoints: what is understood is understood again as it is told, and what is
/// not is in a line that there is.
pub(crate) fn endpoints_are_as_they_are_told(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for word in text.split_whitespace() {
        if let Ok(endpoint) = word.parse::<Endpoint>() {
            let told: Endpoint = endpoint
                .to_string()
                .parse()
                .expect("it was understood before");
            assert_eq!(told, endpoint);
            assert!(!endpoint.host().is_empty());
        }
    }
    let lines = text.lines().count();
    match parse_endpoints(text) {
        Ok(set) => {
            assert!(set.len() <= lines);
            let told: String = set.iter().map(|s| format!("{}\n", s.endpoint())).collect();
            let again = parse_endpoints(&told).expect("each is an endpoint, and none stands twice");
            let endpoints = |set: &[crate::EndpointSettings]| {
                set.iter().map(|s| s.endpoint().clone()).collect::<Vec<_>>()
            };
            assert_eq!(endpoints(&again), endpoints(&set));
        }
        Err((line, error)) => {
            assert!((1..=lines).contains(&line), "line {line}: {error}");
        }
    }
}

/// Lines: a prefix, what takes its place, and a request's path: it never leaves the prefix, and the rest
/// stays as it was written.
pub(crate) fn paths_stay_beneath_their_prefix(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let (Some(from), Some(to), Some(path)) = (lines.next(), lines.next(), lines.next()) else {
        return;
    };
    let (Ok(rule), Ok(path)) = (PathRule::replace(from, to), path.parse::<PathAndQuery>()) else {
        return;
    };
    match rule.apply(&path) {
        Ok(mapped) => {
            let rest = mapped
                .as_str()
                .strip_prefix(to)
                .expect("it begins with what was put there");
            assert_eq!(format!("{from}{rest}"), path.as_str());
            assert!(
                !climbs(mapped.path()),
                "{path} came out as {mapped}, which leaves {to}"
            );
        }
        Err(Unmapped::OtherPrefix(_)) => assert!(!path.as_str().starts_with(from)),
        Err(Unmapped::DotSegments) => {
            let rest = path.path().strip_prefix(from).unwrap_or_default();
            let climbs = climbs(path.path()) || climbs(&format!("{to}{rest}"));
            assert!(climbs, "{path} was refused");
        }
    }
}

/// Whether a segment is a dot or two, however they are written and whatever stands between segments.
fn climbs(path: &str) -> bool {
    let decoded = path
        .replace("%2e", ".")
        .replace("%2E", ".")
        .replace('\\', "/");
    decoded
        .split('/')
        .any(|segment| matches!(segment, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        wsgate_seeds::replay("endpoints", endpoints_are_as_they_are_told);
    }

    #[test]
    fn paths() {
        wsgate_seeds::replay("path", paths_stay_beneath_their_prefix);
    }
}
