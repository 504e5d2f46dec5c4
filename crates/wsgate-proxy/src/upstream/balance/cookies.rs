//! Reading the cookies of a request (RFC 6265 4.2.1).

use http::{HeaderMap, header::COOKIE};

/// The values of the cookies of this name, in the client's order: those for longer paths first.
pub(super) fn values<'a>(
    headers: &'a HeaderMap,
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> + 'a {
    // HTTP/2 clients send each in a field of its own (RFC 9113 8.2.3).
    let fields = headers.get_all(COOKIE).iter();
    let cookies = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    cookies.filter_map(move |cookie| {
        let cookie = cookie.trim_ascii();
        let value = cookie.strip_prefix(name.as_bytes())?;
        value.strip_prefix(b"=")
    })
}

/// Whether a cookie may be called so: a token (RFC 9110 5.6.2).
pub(super) fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &[&str], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, field.parse().unwrap());
        }
        let found: Vec<_> = values(&headers, "a").map(str::from_utf8).collect();
        let expected: Vec<_> = expected.iter().map(|value| Ok(*value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_cookie_is_found_wherever_it_stands() {
        check(&["a=1"], &["1"]);
        check(&["b=2; a=1; aa=3"], &["1"]);
        check(&["b=2", "a=1"], &["1"]);
        check(&["a=1; a=2", "a="], &["1", "2", ""]);
        check(&["a=x=y"], &["x=y"]);
    }

    #[test]
    fn what_only_looks_like_it_is_not_taken_for_it() {
        check(&[], &[]);
        check(&["aa=1; ba=2; A=3; a; b=a=1"], &[]);
    }

    #[test]
    fn names_are_tokens() {
        assert!(is_name("wsgate") && is_name("__Host-wsgate"));
        for name in ["", "a b", "a;b", "a=b", "é"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
