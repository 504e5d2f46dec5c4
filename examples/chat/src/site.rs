//! The site: the page at `/`, an ordinary HTTP API beside it, and the chat at `/websocket`.
//!
//! ```text
//! GET /                             the page; its parts beside it
//! GET /api/health                   that the site is up, and which chat service is behind it
//! GET /api/rooms                    [{name, people}]             built-in service only: with
//! GET /api/rooms/{room}/history     {room, messages}             `--backend` the rooms are elsewhere
//! GET /websocket                    the chat, a WebSocket
//! ```

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Version, header},
    middleware::{map_request, map_response},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use serde_json::json;

use crate::service::{
    Hub, PATH,
    protocol::{CLIENT_PROTOCOL, RoomSummary},
};

/// The site. `websocket` answers handshakes, `backend` names the service behind it for people, and
/// `hub` is there when that service is the built-in one.
pub(crate) fn router(websocket: MethodRouter, backend: String, hub: Option<Hub>) -> Router {
    let mut site = Router::new()
        .route(PATH, websocket.layer(map_request(tell_protocol)))
        .route(
            "/api/health",
            get(async move || Json(json!({"status": "ok", "backend": backend}))),
        )
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing here"));
    if let Some(hub) = hub {
        let rooms = Router::new()
            .route("/api/rooms", get(rooms))
            .route("/api/rooms/{room}/history", get(history))
            .with_state(hub);
        site = site.merge(rooms);
    }
    for &(path, kind, content) in ASSETS {
        let answer = ([(header::CONTENT_TYPE, kind)], content);
        site = site.route(path, get(async move || answer));
    }
    site.layer(map_response(guard))
}

async fn rooms(State(hub): State<Hub>) -> Json<Vec<RoomSummary>> {
    Json(hub.rooms())
}

async fn history(State(hub): State<Hub>, Path(room): Path<String>) -> Response {
    match hub.history(&room) {
        Some(messages) => Json(json!({"room": room, "messages": messages})).into_response(),
        None => problem(StatusCode::NOT_FOUND, "there is no such room"),
    }
}

/// Tells the service how the client's handshake came in. It replaces what a client may have sent there.
async fn tell_protocol(mut request: Request) -> Request {
    let protocol = match request.version() {
        Version::HTTP_2 => "h2",
        _ => "http/1.1",
    };
    request.headers_mut().insert(
        HeaderName::from_static(CLIENT_PROTOCOL),
        HeaderValue::from_static(protocol),
    );
    request
}

/// Adds what keeps the page to itself: a browser loads nothing for it from elsewhere and shows it in
/// nobody's frame.
async fn guard(mut response: Response) -> Response {
    for (name, value) in GUARDS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn problem(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"error": message}))).into_response()
}

/// The parts of the page: path, content type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../page/index.html")),
    ("/style.css", CSS, include_str!("../page/style.css")),
    ("/icon.svg", SVG, include_str!("../page/icon.svg")),
    ("/theme.js", JS, include_str!("../page/theme.js")),
    ("/chat.js", JS, include_str!("../page/chat.js")),
    ("/connection.js", JS, include_str!("../page/connection.js")),
    ("/log.js", JS, include_str!("../page/log.js")),
    ("/panels.js", JS, include_str!("../page/panels.js")),
];

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SVG: &str = "image/svg+xml";
const JS: &str = "text/javascript; charset=utf-8";

const GUARDS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        // 'self' as a connection's source covers wss to the same host and port too (CSP 3, 6.7.2.8).
        // Trusted types without a policy: the browser refuses every innerHTML.
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::{
        body::{Body, to_bytes},
        routing::any,
    };
    use tower::ServiceExt;

    use super::*;
    use crate::service::Limits;

    async fn fetch(path: &str, hub: Option<Hub>) -> (Response, String) {
        let echo = any(async |request: Request| {
            let protocol = &request.headers()[CLIENT_PROTOCOL];
            protocol.to_str().unwrap().to_owned()
        });
        let request = Request::get(path)
            .header(CLIENT_PROTOCOL, "forged")
            .body(Body::empty())
            .unwrap();
        let site = router(echo, "built in".to_owned(), hub);
        let (parts, body) = site.oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        (Response::from_parts(parts, Body::empty()), text)
    }

    #[tokio::test]
    async fn every_part_of_the_page_is_served_under_a_strict_policy() {
        for &(path, kind, content) in ASSETS {
            let (response, body) = fetch(path, None).await;
            assert_eq!(response.headers()[header::CONTENT_TYPE], kind);
            let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
                .to_str()
                .unwrap();
            assert!(policy.starts_with("default-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(body, content);
        }
    }

    #[tokio::test]
    async fn the_api_answers_beside_the_page() {
        let hub = Hub::new(Limits::default());
        #[track_caller]
        fn check((response, body): (Response, String), status: u16, json: serde_json::Value) {
            assert_eq!(response.status(), status);
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body, json);
        }
        check(
            fetch("/api/health", None).await,
            200,
            json!({"status": "ok", "backend": "built in"}),
        );
        check(
            fetch("/api/rooms", Some(hub.clone())).await,
            200,
            json!([{"name": "garden", "people": 0}, {"name": "lobby", "people": 0},
                   {"name": "workshop", "people": 0}]),
        );
        check(
            fetch("/api/rooms/garden/history", Some(hub.clone())).await,
            200,
            json!({"room": "garden", "messages": []}),
        );
        check(
            fetch("/api/rooms/attic/history", Some(hub)).await,
            404,
            json!({"error": "there is no such room"}),
        );
        check(
            fetch("/api/rooms", None).await,
            404,
            json!({"error": "there is nothing here"}),
        );
    }

    #[tokio::test]
    async fn the_service_is_told_the_protocol_whatever_the_client_claims() {
        let (_, seen) = fetch(PATH, None).await;
        assert_eq!(seen, "http/1.1");
    }

    #[test]
    fn the_page_refers_only_to_what_is_there() {
        let html = include_str!("../page/index.html");
        let named = attributes(html, "id");
        let ids: BTreeSet<&str> = named.iter().copied().collect();
        assert_eq!(ids.len(), named.len(), "an id twice");

        let labels = [
            "for",
            "aria-labelledby",
            "aria-describedby",
            "aria-controls",
        ];
        let references = labels.iter().flat_map(|name| attributes(html, name));
        for id in references.flat_map(str::split_whitespace) {
            assert!(ids.contains(id), "index.html refers to #{id}");
        }
        let links = ["href", "src"]
            .iter()
            .flat_map(|name| attributes(html, name));
        for link in links {
            let found = match link.strip_prefix('#') {
                Some(id) => ids.contains(id),
                None => ASSETS.iter().any(|(path, ..)| *path == link),
            };
            assert!(found, "index.html links to {link}");
        }
        for (path, _, script) in ASSETS.iter().filter(|(_, kind, _)| *kind == JS) {
            for id in between(script, "byId(\"") {
                assert!(ids.contains(id), "{path} looks for #{id}");
            }
            for module in between(script, " from \".") {
                let found = ASSETS.iter().any(|(path, ..)| *path == module);
                assert!(found, "{path} imports {module}");
            }
        }
    }

    /// The values of all attributes of that name.
    fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
        between(html, &format!(" {name}=\""))
    }

    /// What stands between `start` and the next quotation mark, everywhere.
    fn between<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
        let rests = text.split(start).skip(1);
        rests.filter_map(|rest| rest.split('"').next()).collect()
    }
}
