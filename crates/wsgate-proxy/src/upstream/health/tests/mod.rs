mod blame;
mod checks;
mod circuit;
mod group;
mod rise_fall;
mod server;
mod slow_start;

use std::time::Duration;

use http::HeaderMap;

use crate::upstream::{EndpointSettings, Handshake, Upstream, UpstreamBuilder};

const SECOND: Duration = Duration::from_secs(1);

/// A group with endpoints at these ports of 127.0.0.1.
fn group(ports: impl IntoIterator<Item = u16>) -> UpstreamBuilder {
    let group = Upstream::builder("backend");
    ports
        .into_iter()
        .fold(group, |group, port| group.endpoint(endpoint(port)))
}

fn endpoint(port: u16) -> EndpointSettings {
    EndpointSettings::new(&format!("http://127.0.0.1:{port}")).unwrap()
}

fn handshake(headers: &HeaderMap) -> Handshake<'_> {
    Handshake {
        headers,
        path: "/websocket",
        query: None,
        client: None,
        is_secure: false,
    }
}
