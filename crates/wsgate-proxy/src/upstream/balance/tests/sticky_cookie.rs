use std::time::Duration;

use http::{
    HeaderMap,
    header::{COOKIE, SET_COOKIE},
};

use super::{endpoint, group, name, settings, tunnels};
use crate::upstream::{
    Handshake, Lease, RoundRobin, SameSite, StickyCookie, StickyCookieError, Upstream,
};

/// A browser with its cookies, as the header has them.
#[derive(Default)]
struct Browser {
    headers: HeaderMap,
    is_secure: bool,
}

impl Browser {
    fn with_cookie(cookie: &str) -> Self {
        let headers = HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())]);
        Self {
            headers,
            is_secure: false,
        }
    }

    fn handshake(&self) -> Handshake<'_> {
        let mut handshake = Handshake::new(&self.headers, "/");
        handshake.is_secure = self.is_secure;
        handshake
    }

    /// The place that it gets, and what it is told to keep.
    fn open(&self, group: &Upstream) -> (Lease, Option<String>) {
        let mut tries = group.tries();
        let lease = tries.next(&self.handshake()).unwrap();
        let mut answer = HeaderMap::new();
        tries.accepted(&lease, &self.handshake(), &mut answer);
        let set = answer
            .get(SET_COOKIE)
            .map(|c| c.to_str().unwrap().to_owned());
        (lease, set)
    }
}

fn sticky() -> StickyCookie {
    StickyCookie::with_key(&[7; 32]).unwrap()
}

/// `name=value` of a `Set-Cookie`.
fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap()
}

#[test]
fn a_browser_comes_back_to_where_it_was() {
    let group = group(&[1; 8], sticky());
    for _ in 0..20 {
        let (first, set) = Browser::default().open(&group);
        let browser = Browser::with_cookie(&format!("a=b; {}", pair(&set.unwrap())));
        // Also while the first tunnel makes others the emptier.
        let (second, set) = browser.open(&group);
        assert_eq!(name(&second), name(&first));
        assert_eq!(set, None);
    }
}

#[test]
fn the_cookie_does_not_tell_the_address_and_is_set_with_care() {
    let group = group(&[1], sticky());
    let mut browser = Browser::default();
    let set = browser.open(&group).1.unwrap();
    let (pair, attributes) = set.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Lax");
    let value = pair.strip_prefix("wsgate=").unwrap();
    assert_eq!(value.len(), 54);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    assert!(value.bytes().all(is_plain));

    browser.is_secure = true;
    let set = browser.open(&group).1.unwrap();
    assert!(set.ends_with("; Secure"), "{set}");
}

/// What changes it makes gateways of different versions forget each other's clients.
#[test]
fn the_cookie_is_the_same_in_every_build() {
    let set = Browser::default().open(&group(&[1], sticky())).1.unwrap();
    // By a second implementation.
    let expected = "wsgate=Ye_l5ouItgd99IQJ06ydbSKCBAtGa37YrDoallC-hHwORAt1Krsdig";
    assert_eq!(pair(&set), expected);
}

#[test]
fn another_key_makes_another_cookie_of_the_same_endpoint() {
    let value = |sticky| Browser::default().open(&group(&[1], sticky)).1.unwrap();
    assert_eq!(value(sticky()), value(sticky()));
    let other = value(StickyCookie::with_key(&[8; 32]).unwrap());
    assert_ne!(value(sticky())[..16], other[..16]);
    assert_ne!(value(StickyCookie::new()), value(StickyCookie::new()));
}

#[test]
fn attributes_can_be_set() {
    let sticky = sticky()
        .same_site(SameSite::None)
        .max_age(Duration::from_secs(3600));
    let sticky = sticky.name("chat").unwrap().path("/chat/").unwrap();
    let group = group(&[1], sticky);
    let set = Browser::default().open(&group).1.unwrap();
    let expected = "; Path=/chat/; HttpOnly; SameSite=None; Secure; Max-Age=3600";
    assert!(set.starts_with("chat=") && set.ends_with(expected), "{set}");
    // It lives an hour from the last handshake.
    let again = Browser::with_cookie(pair(&set)).open(&group).1;
    assert_eq!(again, Some(set));
}

#[test]
fn what_makes_no_cookie_is_refused() {
    #[track_caller]
    fn check(made: Result<StickyCookie, StickyCookieError>, expected: &str) {
        let error = made.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    check(StickyCookie::with_key(b"secret"), "a key of 6 bytes");
    for name in ["", "a=b", "a;b", "a\r\nb"] {
        check(sticky().name(name), "name of a cookie");
    }
    for path in ["", "chat", "/;", "/\r\n", "/é"] {
        check(sticky().path(path), "path of a cookie");
    }
}

#[test]
fn forged_cookies_choose_nothing() {
    let group = group(&[1; 8], sticky());
    let (held, set) = Browser::default().open(&group);
    let set = set.unwrap();
    let good = pair(&set).to_owned();
    let of_other_name = good.replace("wsgate=", "wsgate2=");
    let (last, rest) = (good.len() - 1, good[..good.len() - 1].to_owned());
    let flipped = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let forged = [
        "wsgate=".to_owned(),
        "wsgate=http://a".to_owned(),
        of_other_name,
        rest,
        format!("{good}A"),
        format!("{good}{}", "A".repeat(4000)),
        flipped(7),
        flipped(20),
        flipped(last - 2),
    ];
    for cookie in forged {
        let (lease, set) = Browser::with_cookie(&cookie).open(&group);
        assert_ne!(name(&lease), name(&held), "{cookie}");
        assert!(set.is_some(), "{cookie}");
    }
    // A good one beside it still counts.
    let (lease, _) = Browser::with_cookie(&format!("wsgate=x; {good}")).open(&group);
    assert_eq!(name(&lease), name(&held));
}

#[test]
fn one_that_cannot_take_a_tunnel_is_replaced() {
    let group = group(&[1, 1], sticky());
    let (lease, set) = Browser::default().open(&group);
    let cookie = set.unwrap();
    let was = name(&lease);
    let browser = Browser::with_cookie(pair(&cookie));
    group.drain(&endpoint(was)).unwrap();
    let (other, set) = browser.open(&group);
    assert_ne!(name(&other), was);
    assert_ne!(set.unwrap(), cookie);
    group.undrain(&endpoint(was)).unwrap();
    assert_eq!(name(&browser.open(&group).0), was);
    group.remove(&endpoint(was)).unwrap();
    assert_ne!(name(&browser.open(&group).0), was);
}

#[test]
fn others_that_come_and_go_change_nothing() {
    let group = group(&[1; 8], sticky());
    let mut held = Vec::new();
    let set = loop {
        let (lease, set) = Browser::default().open(&group);
        held.push(lease);
        if name(&held[held.len() - 1]) == 'e' {
            break set.unwrap();
        }
    };
    let browser = Browser::with_cookie(pair(&set));
    assert_eq!(name(&browser.open(&group).0), 'e');
    group.remove(&endpoint('b')).unwrap();
    assert_eq!(name(&browser.open(&group).0), 'e');
    group.add(settings('z')).unwrap();
    assert_eq!(name(&browser.open(&group).0), 'e');
}

#[test]
fn those_without_a_cookie_go_where_another_policy_says() {
    let group = group(&[1, 1, 1], sticky().otherwise(RoundRobin::new()));
    let leases: Vec<_> = (0..6).map(|_| Browser::default().open(&group).0).collect();
    assert_eq!(tunnels(&group), [2, 2, 2]);
    // It goes on, where the emptiest would be the one that has become so.
    drop(leases);
    let mut names: Vec<_> = (0..3)
        .map(|_| name(&Browser::default().open(&group).0))
        .collect();
    names.sort_unstable();
    assert_eq!(names, ['a', 'b', 'c']);
}

#[test]
fn the_key_is_not_shown() {
    let shown = format!("{:?}", sticky());
    assert!(
        shown.starts_with("StickyCookie") && !shown.contains("key"),
        "{shown}"
    );
}
