use http::uri::PathAndQuery;

/// What becomes of the path on its way to the upstream. The query always passes as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PathRule {
    replace: Option<(String, String)>,
}

/// A prefix that cannot be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot replace `{from}` by `{to}`: both are paths that begin with `/`")]
pub struct PathError {
    from: String,
    to: String,
}

/// Why a request's path cannot be mapped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unmapped {
    #[error("the path does not begin with `{0}`, the prefix to replace")]
    OtherPrefix(String),
    #[error("the path has `.` or `..` segments")]
    DotSegments,
}

// ===== impl PathRule =====

impl PathRule {
    pub(crate) fn replace(from: &str, to: &str) -> Result<Self, PathError> {
        let valid = |p: &str| p.starts_with('/') && p.parse::<PathAndQuery>().is_ok_and(|v| v == p);
        let plain = |p: &str| valid(p) && !p.contains(['?', '#']) && !has_dot_segments(p);
        if !plain(from) || !plain(to) {
            return Err(PathError {
                from: from.to_owned(),
                to: to.to_owned(),
            });
        }
        Ok(Self {
            replace: Some((from.to_owned(), to.to_owned())),
        })
    }

    pub(crate) fn apply(&self, path: &PathAndQuery) -> Result<PathAndQuery, Unmapped> {
        let Some((from, to)) = &self.replace else {
            return Ok(path.clone());
        };
        // Else `/public/../private` would come out below another prefix than the one replaced.
        if has_dot_segments(path.path()) {
            return Err(Unmapped::DotSegments);
        }
        let rest = path.as_str().strip_prefix(from.as_str());
        let rest = rest.ok_or_else(|| Unmapped::OtherPrefix(from.clone()))?;
        let mapped = PathAndQuery::try_from(format!("{to}{rest}"));
        let mapped = mapped.expect("a path that begins with one, with the rest of another");
        // A prefix that does not end in `/` may end within a segment. `/public../private` has no dot segment,
        // and what comes of it by `/public` and `/app/` has one.
        if has_dot_segments(mapped.path()) {
            return Err(Unmapped::DotSegments);
        }
        Ok(mapped)
    }
}

/// Whether a segment is `.` or `..`, also where a dot is percent-encoded (RFC 3986 5.2.4, 6.2.2.2).
fn has_dot_segments(path: &str) -> bool {
    path.split(['/', '\\']).any(|segment| {
        let decoded = segment.to_ascii_lowercase().replace("%2e", ".");
        matches!(decoded.as_str(), "." | "..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn maps(from: &str, to: &str, path: &str, expected: &str) {
        let rule = PathRule::replace(from, to).unwrap();
        let mapped = rule.apply(&path.parse().unwrap()).unwrap();
        assert_eq!(mapped.as_str(), expected);
    }

    /// Each row is what nginx does for `location FROM { proxy_pass http://upstream TO; }`.
    #[test]
    fn replaces_as_nginx_does() {
        maps("/websocket/", "/", "/websocket/a?b=/c", "/a?b=/c");
        maps("/websocket", "/", "/websocket?token=1", "/?token=1");
        maps("/websocket", "/app", "/websocket/a", "/app/a");
        maps("/websocket", "/app/", "/websocket/a", "/app//a");
        maps("/websocket/", "/app", "/websocket/a", "/appa");
        maps("/", "/app/", "/a", "/app/a");
    }

    /// Unlike nginx, to which `%2F` is a slash and `//` is one.
    #[test]
    fn the_rest_stays_as_it_was_written() {
        maps("/", "/app/", "/a%2Fb", "/app/a%2Fb");
        maps("/a/", "/", "/a//b/%7Ec", "//b/%7Ec");
    }

    #[test]
    fn without_a_prefix_nothing_changes() {
        let path: PathAndQuery = "/a/../b?x".parse().unwrap();
        assert_eq!(PathRule::default().apply(&path).unwrap(), path);
    }

    #[test]
    fn what_cannot_be_mapped_is_said() {
        let rule = PathRule::replace("/public/", "/app/").unwrap();
        let apply = |path: &str| rule.apply(&path.parse().unwrap()).unwrap_err();
        assert_eq!(
            apply("/private/a"),
            Unmapped::OtherPrefix("/public/".to_owned())
        );
        for path in [
            "/public/../private",
            "/public/%2E%2e/private",
            "/public/a/.",
            "/public/..\\a",
        ] {
            assert_eq!(apply(path), Unmapped::DotSegments, "{path}");
        }
    }

    /// As nginx's `alias` did to many.
    #[test]
    fn a_prefix_that_ends_within_a_segment_lets_nobody_out() {
        let rule = PathRule::replace("/public", "/app/").unwrap();
        for path in [
            "/public../private",
            "/public./a",
            "/public%2e./a",
            "/public..",
        ] {
            let mapped = rule.apply(&path.parse().unwrap());
            assert_eq!(mapped, Err(Unmapped::DotSegments), "{path}");
        }
        maps("/public", "/app/", "/public..a", "/app/..a");
    }

    #[test]
    fn a_prefix_is_a_path() {
        for (from, to) in [
            ("a", "/"),
            ("/", ""),
            ("/", "b"),
            ("/a?b", "/"),
            ("/", "/a b"),
            ("/", "/.."),
        ] {
            let error = PathRule::replace(from, to).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("cannot replace `{from}` by `{to}`"))
            );
        }
    }
}
