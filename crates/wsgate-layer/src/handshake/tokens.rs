//! Fields whose value is a comma-separated list of tokens (RFC 9110 5.6.1).

use http::{HeaderMap, HeaderName, HeaderValue};

/// The members of a list field over all its lines, without the white space round them. Those that are
/// empty or not ASCII are passed over, and only those: what stands beside one may well matter.
pub(crate) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().flat_map(split)
}

/// The members of one line of a list field.
pub(crate) fn split(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let members = value.as_bytes().split(|byte| *byte == b',');
    let members = members.filter(|m| m.is_ascii()).map(<[u8]>::trim_ascii);
    members
        .filter_map(|m| str::from_utf8(m).ok())
        .filter(|m| !m.is_empty())
}

/// Whether a list field has this member, in any case.
pub(crate) fn contains(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    members(headers, name).any(|m| m.eq_ignore_ascii_case(token))
}

/// The value of a field that stands exactly once.
pub(crate) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}
