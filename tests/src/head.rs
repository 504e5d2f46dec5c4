//! The heads of requests and answers, as they came.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;

/// Header fields in the order they came in, names spelt as they were.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

/// What an upstream was asked.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// `GET`, mostly.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// `HTTP/1.1`.
    pub version: String,
    /// The header fields.
    pub fields: Fields,
    /// The whole head, the empty line included.
    pub raw: Bytes,
}

/// What a client was answered.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// 101, or 200 over HTTP/2, when the tunnel is open.
    pub status: u16,
    /// The words after the status; none over HTTP/2.
    pub reason: String,
    /// The header fields.
    pub fields: Fields,
}

// ===== impl Fields =====

impl Fields {
    /// The value of the first field of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all fields of this name, in any case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn parse(lines: &str) -> Self {
        let lines = lines.lines().take_while(|line| !line.is_empty());
        Self(
            lines
                .map(|line| {
                    line.split_once(':')
                        .unwrap_or_else(|| panic!("not a field: {line:?}"))
                })
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
        )
    }
}

impl From<&HeaderMap> for Fields {
    fn from(map: &HeaderMap) -> Self {
        let value =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self(
            map.iter()
                .map(|(name, v)| (name.as_str().to_owned(), value(v)))
                .collect(),
        )
    }
}

impl From<Vec<(String, String)>> for Fields {
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

// ===== impl RequestHead =====

impl RequestHead {
    /// Reads the head of a request.
    ///
    /// # Panics
    ///
    /// When it is none: what stands before a test's upstream is what the test is about.
    pub(crate) fn parse(raw: Bytes) -> Self {
        // Other bytes are allowed in a value, and are told apart in `raw`.
        let text = String::from_utf8_lossy(&raw).into_owned();
        let (line, fields) = text.split_once("\r\n").expect("a request line");
        let [method, target, version] = line
            .split(' ')
            .map(ToOwned::to_owned)
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("not a request line: {line:?}"));
        Self {
            method,
            target,
            version,
            fields: Fields::parse(fields),
            raw,
        }
    }
}

// ===== impl ResponseHead =====

impl ResponseHead {
    /// Reads the head of an HTTP/1 answer.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8_lossy(raw);
        let (line, fields) = text.split_once("\r\n").expect("a status line");
        let mut words = line.splitn(3, ' ').skip(1);
        let status = words.next().and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("not a status line: {line:?}")),
            reason: words.next().unwrap_or_default().to_owned(),
            fields: Fields::parse(fields),
        }
    }
}
