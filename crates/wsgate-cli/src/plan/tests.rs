use std::error::Error;

use clap::Parser;

use super::*;

/// All that is needed, for tests about something else.
const CERTIFIED: &str = "--listen 127.0.0.1:8443 --cert a.pem --key a.key";

fn plan(line: &str) -> Result<Plan, PlanError> {
    let args = ["wsgate"].into_iter().chain(line.split_whitespace());
    Plan::new(Args::try_parse_from(args).unwrap(), OpenFiles::of(1024))
}

#[track_caller]
fn refuses(line: &str, expected: &str) {
    let error = plan(line).unwrap_err();
    let mut said = error.to_string();
    if let Some(source) = error.source() {
        said = format!("{said}: {source}");
    }
    assert!(said.starts_with(expected), "{line}\n{said}");
}

#[test]
fn what_is_missing_is_asked_for() {
    for (line, expected) in [
        ("--plain", "nothing says where to listen"),
        ("--listen 127.0.0.1:0", "there is no certificate"),
        (
            "--listen 127.0.0.1:0 --cert a.pem",
            "there are 1 --cert and 0 --key",
        ),
        (
            "--listen 127.0.0.1:0 --cert a.pem --cert b.pem --key a.key",
            "there are 2 --cert and 1 --key",
        ),
        (
            "--listen 127.0.0.1:9 --redirect-http 127.0.0.1:9 --cert a.pem --key a.key",
            "--listen and --redirect-http are both 127.0.0.1:9",
        ),
        (CERTIFIED, "nothing says where to: add --route"),
        ("dev", "nothing says where to: add --route"),
    ] {
        refuses(line, expected);
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (options, expected) in [
        ("--route /a", "--route /a: write it as PATH=URL"),
        ("--route a=http://b", "--route a=http://b: `a` is no path"),
        (
            "--route /a=ftp://b",
            "--route /a=ftp://b: `ftp://b` is no endpoint",
        ),
        (
            "--route /a=http://b --route /b=b",
            "--route /b=b: `b` is no endpoint",
        ),
        (
            "--route /%2e=http://b",
            "--route /%2e=http://b: cannot replace",
        ),
        (
            "--route /a=http://b --route /c=http://b --route /a=http://d/",
            "there are two --route for /a",
        ),
        (
            "--route /a=http://b --allow-origin example.com",
            "--allow-origin: `example.com` is no origin",
        ),
        (
            "--route /a=http://b --allow-origin * --allow-origin https://example.com",
            "--allow-origin * lets every page in",
        ),
        (
            "--route /a=http://b --proxy-protocol balancer",
            "--proxy-protocol: `balancer` is neither",
        ),
        (
            "--route /a=http://b --trusted-proxy intranet",
            "--trusted-proxy: `intranet` is neither",
        ),
        (
            "--route /a=http://b --connect-timeout 0s",
            "--connect-timeout is no time",
        ),
        (
            "--route /a=http://b --max-frame-rate 0",
            "--max-frame-rate of none would refuse everyone",
        ),
        (
            "--route /a=http://b --close-timeout 0s",
            "--close-timeout is no time",
        ),
        (
            "--route /a=http://b --refusal-timeout 0s",
            "--refusal-timeout is no time",
        ),
        (
            "--route /a=http://b --send-timeout 0s",
            "--send-timeout is no time",
        ),
        (
            "--route /a=http://b --header-timeout 0s",
            "--header-timeout is no time",
        ),
        (
            "--route /a=http://b --tls-timeout 0s",
            "--tls-timeout is no time",
        ),
        (
            "--route /a=http://b --http2-idle-timeout 0s",
            "--http2-idle-timeout is no time",
        ),
        (
            "--route /a=http://b --frame-timeout 0s",
            "--frame-timeout is no time",
        ),
        (
            "--route /a=http://b --message-timeout 0s",
            "--message-timeout is no time",
        ),
        (
            "--route /a=http://b --handshake-timeout 0ms",
            "--handshake-timeout is no time",
        ),
        (
            "--route /a=http://b --upstream-tcp-timeout 0s",
            "--upstream-tcp-timeout is no time",
        ),
        (
            "--route /a=http://b --keepalive off --pong-timeout 1s",
            "--pong-timeout is about pings, and --keepalive is off",
        ),
        (
            "--route /a=http://b --upstream-pong-timeout 1s",
            "--upstream-pong-timeout is about pings, and --upstream-keepalive is off",
        ),
        (
            "--route /a=http://b --upstream-host user@b",
            "--upstream-host user@b is neither",
        ),
        (
            "--route /a=https://b --upstream-ca none.pem",
            "--upstream-ca none.pem: cannot read a CA certificate from none.pem",
        ),
    ] {
        refuses(&format!("{CERTIFIED} {options}"), expected);
    }
}

#[test]
fn options_about_tls_want_an_upstream_with_tls() {
    for (options, expected) in [
        ("--upstream-ca a.pem", "--upstream-ca is about TLS"),
        (
            "--upstream-cert a.pem --upstream-key a.key",
            "--upstream-cert is about TLS",
        ),
        (
            "--upstream-server-name b",
            "--upstream-server-name is about TLS",
        ),
    ] {
        let routes = "--route /a=http://b --route /c=unix:/c.sock";
        refuses(&format!("{CERTIFIED} {routes} {options}"), expected);
    }
}

#[test]
fn the_front_is_what_was_asked_for() {
    let front = |line: &str| plan(&format!("{line} --route /a=http://b")).unwrap().front;
    assert!(matches!(
        front("--listen 127.0.0.1:0 --plain"),
        Front::Plain
    ));
    let Front::Development(ca) = front("dev --data-dir /tmp/ca") else {
        panic!("no development certificate");
    };
    assert_eq!(ca, DevelopmentCa::in_directory("/tmp/ca"));
    let more = format!("{CERTIFIED} --redirect-http 127.0.0.1:80 --hsts 1h");
    let Front::Https {
        redirect_http,
        hsts,
        ..
    } = front(&more)
    else {
        panic!("no https");
    };
    assert_eq!(redirect_http, Some(([127, 0, 0, 1], 80).into()));
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(hsts, Some(Hsts::max_age(hour)));
}

/// Nobody has to know of them.
#[test]
fn defences_are_up_unless_one_says_otherwise() {
    #[track_caller]
    fn check(option: &str, given: &str, as_it_comes: &str) {
        for (more, expected) in [("", as_it_comes), (option, given)] {
            let plan = plan(&format!("{CERTIFIED} --route /a=http://b {more}")).unwrap();
            let shown = format!("{plan:?}");
            assert!(
                shown.contains(&format!(" {expected}")),
                "{expected}: {shown}"
            );
        }
    }
    check("--cert-check off", "watch: None", "watch: Some(30s)");
    check(
        "--max-pending-handshakes off",
        "pending_handshakes: None",
        "pending_handshakes: Some(1000)",
    );
    check("--max-tunnels off", "tunnels: None", "tunnels: Some(448)");
    // Of connections, and of tunnels.
    check("--send-timeout 1h", "send: 3600s", "send: 60s");
    check(
        "--send-timeout 1h",
        "send_timeout: 3600s",
        "send_timeout: 60s",
    );
}

#[test]
fn routes_are_told_as_they_were_written() {
    for (route, path, upstream, endpoint) in [
        ("/a=http://b", "/a", "http://b", "http://b"),
        ("/a=http://b/", "/a", "http://b/", "http://b"),
        ("/a=unix:/c:/d", "/a", "unix:/c:/d", "unix:/c"),
        ("/a=http://unix:/c", "/a", "http://unix:/c", "unix:/c"),
    ] {
        let plan = plan(&format!("{CERTIFIED} --route {route}")).unwrap();
        let [route] = plan.routes() else {
            panic!("{plan:?}");
        };
        assert_eq!((&*route.path, &*route.upstream), (path, upstream));
        assert_eq!(route.proxy.upstream().name(), endpoint);
    }
}

#[test]
fn several_endpoints_are_a_group() {
    let routes = "--route /a=http://b:1,http://c:1 --tries 2 --balance hash:client";
    let plan = plan(&format!("{CERTIFIED} {routes}")).unwrap();
    let upstream = plan.routes()[0].proxy.upstream();
    assert_eq!(upstream.name(), "/a");
    assert_eq!(upstream.endpoints().len(), 2);
}

#[test]
fn what_groups_cannot_do_is_named() {
    #[track_caller]
    fn check(more: &str, expected: &str) {
        let error = plan(&format!("{CERTIFIED} {more}")).unwrap_err();
        let chain = std::iter::successors(Some(&error as &dyn Error), |&e| e.source());
        let words: Vec<_> = chain.map(ToString::to_string).collect();
        let words = words.join(": ");
        assert!(words.contains(expected), "{words}");
    }
    let one = "--route /a=http://b:1";
    let two = "--route /a=http://b:1,http://c:1";
    for option in [
        "--balance random",
        "--tries 2",
        "--health-check tcp",
        "--rebalance",
    ] {
        check(&format!("{one} {option}"), "there is none: write --route");
    }
    check(&format!("{two},http://b:1"), "has http://b:1 twice");
    check(&format!("{two} --sticky-key /k"), "is the key of --balance");
    let sticky = format!("{two} --balance sticky-cookie");
    check(
        &format!("{sticky} --sticky-key /no/such"),
        "--sticky-key /no/such",
    );
    check(&format!("{sticky} --rebalance"), "`/a`");
    check(
        "--route /a=dns:http://10.0.0.1:80",
        "has no name to look up",
    );
    check("--route /a=file:/no/such", "/no/such");
}

#[test]
fn the_upstreams_host_is_a_word_or_a_name() {
    #[track_caller]
    fn check(host: &str, expected: Option<UpstreamHost>) {
        assert_eq!(UpstreamHost::parse(host).ok(), expected, "{host}");
    }
    let name = |name| Some(UpstreamHost::Name(HeaderValue::from_static(name)));
    check("client", Some(UpstreamHost::Client));
    check("endpoint", Some(UpstreamHost::Endpoint));
    check("example.com", name("example.com"));
    check("[::1]:8080", name("[::1]:8080"));
    for wrong in ["", "a b", "http://a", "a/b", "user@a", ":80"] {
        check(wrong, None);
    }
}

#[test]
fn origins_add_to_the_own_one() {
    #[track_caller]
    fn check(allowed: &[&str], expected: &OriginPolicy) {
        let args = AccessArgs {
            allowed_origins: allowed.iter().map(|o| (*o).to_owned()).collect(),
            trusted_proxies: Vec::new(),
        };
        assert_eq!(origin(&args).unwrap(), *expected);
    }
    let same = OriginPolicy::same_origin;
    check(&[], &same());
    check(&["*"], &OriginPolicy::any());
    let two = ["https://a.test", "*.b.test"];
    check(&two, &same().and_allow(two).unwrap());
}

/// What is waited for, by whom, in the words of its `Debug`.
#[track_caller]
fn waits(options: &str, limits: &Limits, proxy: &[&str], stack: &[&str]) {
    let plan = plan(&format!("{CERTIFIED} --route /a=http://b {options}")).unwrap();
    assert_eq!(plan.limits, *limits);
    let told = format!("{:?}", plan.routes[0].proxy);
    for time in proxy {
        assert!(told.contains(time), "{time}: {told}");
    }
    let told = format!("{:?}", plan.stack);
    for time in stack {
        assert!(told.contains(time), "{time}: {told}");
    }
}

#[test]
fn the_limits_in_time_are_on_by_default() {
    waits(
        "",
        &Limits::new(),
        &[
            "connect_timeout: 5s",
            "handshake_timeout: 10s",
            "refusal_timeout: 30s",
            "close_timeout: 10s",
            "send_timeout: 60s",
            "tcp_timeout: Some(120s)",
        ],
        &[
            "}, 30s)), limits: ",
            "read_timeout: Some(ReadTimeoutLayer { timeout: 60s",
            "frame_timeout: Some(MessageTimeoutLayer { timeout: 60s, unit: Frame",
            "message_timeout: None",
        ],
    );
}

#[test]
fn each_limit_in_time_has_an_option_that_reaches_it() {
    let seconds = std::time::Duration::from_secs;
    waits(
        "--tls-timeout 11s --header-timeout 12s --http2-idle-timeout 13s --send-timeout 14s \
         --connect-timeout 15s --handshake-timeout 16s --refusal-timeout 17s --close-timeout 18s \
         --upstream-tcp-timeout 19s --read-timeout 20s --frame-timeout 21s --message-timeout 22s \
         --drain-timeout 23s",
        &Limits::new()
            .tls_handshake(seconds(11))
            .first_request(seconds(12))
            .header_read(seconds(12))
            .http2_idle(seconds(13))
            .send(seconds(14)),
        &[
            "connect_timeout: 15s",
            "handshake_timeout: 16s",
            "refusal_timeout: 17s",
            "close_timeout: 18s",
            "send_timeout: 14s",
            "tcp_timeout: Some(19s)",
        ],
        &[
            "}, 23s)), limits: ",
            "read_timeout: Some(ReadTimeoutLayer { timeout: 20s",
            "frame_timeout: Some(MessageTimeoutLayer { timeout: 21s, unit: Frame",
            "message_timeout: Some(MessageTimeoutLayer { timeout: 22s, unit: Message",
        ],
    );
}
