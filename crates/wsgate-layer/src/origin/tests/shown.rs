//! What an error tells of the Origin that it is about.

use http::{HeaderValue, Request, Version};

use crate::{client::TrustedProxies, origin::OriginPolicy};

fn told(origin: &[u8]) -> String {
    let req = Request::get("/")
        .version(Version::HTTP_11)
        .header("host", "example.com")
        .header("origin", HeaderValue::from_bytes(origin).unwrap());
    let req = req.body(()).unwrap();
    let error = OriginPolicy::same_origin()
        .check(&req, &TrustedProxies::none())
        .unwrap_err();
    error.origin().unwrap().to_owned()
}

#[test]
fn an_origin_is_told_as_ascii_and_no_more_than_an_origin() {
    #[track_caller]
    fn check(origin: &[u8], expected: &str) {
        assert_eq!(told(origin), expected);
    }
    check(b"https://evil.test:8443", "https://evil.test:8443");
    check(b"null", "null");
    check(b"https://\xff.test", r"https://\xff.test");
    check(b"https://evil.test/?token=secret", "https://evil.test/***");
    check(b"https://evil.test?token=secret", "https://evil.test/***");
    check(b"https://user:secret@evil.test", "https://***@evil.test");
    check(b"/path?token=secret", "/***");
    assert_eq!(told(&[b'a'; 8000]).len(), 300);
}
