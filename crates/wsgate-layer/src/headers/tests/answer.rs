//! What becomes of the answer.

use super::*;

#[tokio::test]
async fn extended_connect_becomes_an_upgrade_and_its_101_becomes_200() {
    let layer = UpgradeHeadersLayer::new();
    let (sent, res) = forward(&layer, extended_connect(), switching).await;
    assert_eq!(
        (sent.method(), sent.version()),
        (&Method::GET, Version::HTTP_11)
    );
    assert!(sent.extensions().get::<Protocol>().is_none());
    assert_eq!(sent.uri().path_and_query().unwrap(), "/websocket?room=1");
    fields(
        sent.headers(),
        &[
            ("host", "example.com"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-protocol", "chat"),
        ],
    );
    assert_eq!(res.status(), 200);
    fields(res.headers(), &[("x-upstream", "1")]);
    none(
        res.headers(),
        &[
            "connection",
            "upgrade",
            "sec-websocket-accept",
            "keep-alive",
        ],
    );
}

/// To an HTTP/2 client it would be the length of all that is ever said.
#[tokio::test]
async fn a_101_has_no_length() {
    let with_length = |req: &Request<()>| {
        let mut res = switching(req);
        res.headers_mut().insert("content-length", 0.into());
        res
    };
    for req in [upgrade(&[]), extended_connect()] {
        let (_, res) = forward(&UpgradeHeadersLayer::new(), req, with_length).await;
        none(res.headers(), &["content-length"]);
    }
}

#[tokio::test]
async fn a_good_101_passes_to_an_http1_client() {
    let (_, res) = forward(&UpgradeHeadersLayer::new(), upgrade(&[]), switching).await;
    assert_eq!(res.status(), 101);
    fields(
        res.headers(),
        &[
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("x-upstream", "1"),
        ],
    );
    none(res.headers(), &["keep-alive"]);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_a_502_that_says_why() {
    async fn check(
        req: Request<()>,
        answer: impl FnOnce(&Request<()>) -> Response<String> + Clone,
        expected: AnswerError,
    ) {
        let (_, res) = forward(&UpgradeHeadersLayer::new(), req, answer).await;
        assert_eq!(res.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(
            res.body(),
            &format!("the upstream failed the handshake: {expected}\n")
        );
        assert_eq!(res.extensions().get::<AnswerError>(), Some(&expected));
    }
    let wrong_accept = |req: &Request<()>| {
        let mut res = switching(req);
        res.headers_mut()
            .insert("sec-websocket-accept", "wrong".parse().unwrap());
        res
    };
    check(upgrade(&[]), wrong_accept, AnswerError::Accept).await;
    check(extended_connect(), wrong_accept, AnswerError::Accept).await;
    // To an HTTP/2 client a 200 would mean that the WebSocket is open.
    let page = |_: &Request<()>| Response::new("<html>".to_owned());
    check(extended_connect(), page, AnswerError::Status(200)).await;
    let unasked = |_: &Request<()>| {
        Response::builder()
            .status(101)
            .header("upgrade", "websocket")
            .body(String::new())
            .unwrap()
    };
    check(
        get(&[("host", "example.com")]),
        unasked,
        AnswerError::Unasked,
    )
    .await;
}

#[tokio::test]
async fn any_other_answer_passes_whole() {
    let unauthorized = |_: &Request<()>| {
        Response::builder()
            .status(401)
            .header("www-authenticate", "Basic realm=\"a\"")
            .header("connection", "close, x-once")
            .header("x-once", "1")
            .body("who are you?".to_owned())
            .unwrap()
    };
    for req in [upgrade(&[]), extended_connect()] {
        let (_, res) = forward(&UpgradeHeadersLayer::new(), req, unauthorized).await;
        assert_eq!(
            (res.status().as_u16(), &**res.body()),
            (401, "who are you?")
        );
        fields(res.headers(), &[("www-authenticate", "Basic realm=\"a\"")]);
        none(res.headers(), &["connection", "x-once"]);
    }
    let page = |_: &Request<()>| Response::new("<html>".to_owned());
    let (_, res) = forward(&UpgradeHeadersLayer::new(), upgrade(&[]), page).await;
    assert_eq!((res.status().as_u16(), &**res.body()), (200, "<html>"));
}
