//! The routes as an axum router.

use std::collections::HashSet;

use axum::{Router, handler::Handler, http::StatusCode, routing::any};

/// A router in which each path serves itself and everything beneath it at a segment boundary, and the
/// longest one wins. Everything else is 404.
pub(crate) fn router<H, T>(routes: impl IntoIterator<Item = (String, H)>) -> Router
where
    H: Handler<T, ()>,
    T: 'static,
{
    let mut routes: Vec<_> = routes.into_iter().collect();
    // `/a` claims `/a/` as well, unless that is a route of its own: it has come first then.
    routes.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    let mut taken = HashSet::new();
    let mut router = Router::new();
    for (path, handler) in routes {
        for pattern in patterns(&path) {
            if taken.insert(pattern.clone()) {
                router = router.route(&pattern, any(handler.clone()));
            }
        }
    }
    router.fallback(async || (StatusCode::NOT_FOUND, "There is nothing here.\n"))
}

/// What axum is to be told for a path. Its catch-all does not match the empty rest.
fn patterns(path: &str) -> Vec<String> {
    if path.ends_with('/') {
        return vec![path.to_owned(), format!("{path}{{*rest}}")];
    }
    vec![
        path.to_owned(),
        format!("{path}/"),
        format!("{path}/{{*rest}}"),
    ]
}

#[cfg(test)]
mod tests {
    use axum::{body, extract::Request};
    use tower::ServiceExt;

    use super::*;

    /// Which of the routes answers a request for `path`; 404 if none does.
    async fn serves(routes: &[&str], path: &str) -> String {
        let routes = routes.iter().map(|route| {
            let name = (*route).to_owned();
            (name.clone(), async move || name)
        });
        let req = Request::get(path).body(body::Body::empty()).unwrap();
        let res = router(routes).oneshot(req).await.unwrap();
        if res.status() == StatusCode::NOT_FOUND {
            return "404".to_owned();
        }
        let text = body::to_bytes(res.into_body(), 1024).await.unwrap();
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_longest_route_serves_itself_and_what_is_beneath() {
        let one = &["/websocket"][..];
        let slash = &["/websocket/"][..];
        let all = &["/"][..];
        // In an order in which the first would be the wrong one.
        let nested = &["/", "/a", "/a/", "/a/b", "/a/b/c/"][..];
        for (routes, path, expected) in [
            (one, "/websocket", "/websocket"),
            (one, "/websocket/", "/websocket"),
            (one, "/websocket/a/b", "/websocket"),
            (one, "/websocket//a", "/websocket"),
            (one, "/websocket?a=/b", "/websocket"),
            (one, "/websocketfoo", "404"),
            (one, "/websocket%2Fa", "404"),
            (one, "/Websocket", "404"),
            (one, "/a/websocket", "404"),
            (one, "/", "404"),
            (slash, "/websocket", "404"),
            (slash, "/websocket/", "/websocket/"),
            (slash, "/websocket/a", "/websocket/"),
            (all, "/", "/"),
            (all, "/a/b", "/"),
            (nested, "/", "/"),
            (nested, "/b", "/"),
            (nested, "/ab", "/"),
            (nested, "/a", "/a"),
            (nested, "/a/", "/a/"),
            (nested, "/a/bc", "/a/"),
            (nested, "/a/b", "/a/b"),
            (nested, "/a/b/c", "/a/b"),
            (nested, "/a/b/c/", "/a/b/c/"),
            (nested, "/a/b/c/d", "/a/b/c/"),
        ] {
            assert_eq!(serves(routes, path).await, expected, "{routes:?} {path}");
        }
    }
}
