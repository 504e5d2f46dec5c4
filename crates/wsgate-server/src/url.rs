//! Where people find a server.

use std::net::IpAddr;

use crate::redirect;

/// An address for people to open. `names` is `None` for plain HTTP.
pub(crate) fn url(names: Option<&[String]>, listening: IpAddr, port: u16) -> String {
    let exact = |name: &&String| !name.starts_with("*.") && name.parse::<IpAddr>().is_err();
    let host = match names.and_then(|names| names.iter().find(exact)) {
        Some(name) => name.clone(),
        None => match listening.to_canonical() {
            address if address.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        },
    };
    match (names, port) {
        (Some(_), port) => format!("https://{}", redirect::with_port(&host, port)),
        (None, 80) => format!("http://{host}"),
        (None, port) => format!("http://{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_that_a_browser_can_open() {
        #[track_caller]
        fn check(names: Option<&[&str]>, listening: &str, port: u16, expected: &str) {
            let names: Option<Vec<String>> =
                names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            assert_eq!(
                url(names.as_deref(), listening.parse().unwrap(), port),
                expected
            );
        }
        check(
            Some(&["*.a.test", "a.test"]),
            "0.0.0.0",
            443,
            "https://a.test",
        );
        check(Some(&["a.test"]), "::", 8443, "https://a.test:8443");
        check(
            Some(&["*.a.test", "192.0.2.1"]),
            "192.0.2.1",
            1,
            "https://192.0.2.1:1",
        );
        check(Some(&[]), "0.0.0.0", 443, "https://localhost");
        check(None, "127.0.0.1", 80, "http://127.0.0.1");
        check(None, "::1", 8080, "http://[::1]:8080");
        check(None, "::", 8080, "http://localhost:8080");
    }
}
