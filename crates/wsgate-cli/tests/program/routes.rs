//! Which request goes where, and who may come.

use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::{client_async, tungstenite::Error};

use crate::{
    process::Program,
    support::{ANYWHERE, Client, Identity, Upstream, get, hear},
};

#[tokio::test]
async fn each_route_leads_to_its_upstream() {
    let identity = Identity::new("localhost");
    let (one, two) = (Upstream::start().await, Upstream::start().await);
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /one={} --route /two/={}/app/",
        identity.args(),
        one.url(),
        two.url()
    ));
    let address = wsgate.address().await;
    let told = format!("/one -> {}", one.url());
    assert_eq!(wsgate.says("route ").await, told);
    let told = format!("/two/ -> {}/app/", two.url());
    assert_eq!(wsgate.says("route ").await, told);

    let host = format!("localhost:{}", address.port());
    let client = Client::new(address, "localhost", &identity.der);
    for (path, asked) in [
        ("/one", "/one"),
        ("/one/a?b=c", "/one/a?b=c"),
        ("/two/a/b?c", "/app/a/b?c"),
        ("/two/", "/app/"),
    ] {
        assert_eq!(client.reaches(path).await, format!("{asked} {host}"));
    }
    for path in ["/", "/onely", "/two", "/three"] {
        assert_eq!(client.refused(path, None).await, 404, "{path}");
    }
    // It is nobody's business what lies beside a route.
    for path in ["/one/../two", "/one/%2e%2e/private"] {
        assert_eq!(client.refused(path, None).await, 400, "{path}");
    }
    wsgate.stop().await;
}

#[tokio::test]
async fn what_is_no_handshake_is_told_so() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} {} --route /websocket={}",
        identity.args(),
        upstream.url()
    ));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);

    let page = client.get("/").await;
    assert!(page.starts_with("HTTP/1.1 404 "), "{page}");
    assert!(page.ends_with("\r\n\r\nThere is nothing here.\n"), "{page}");
    let route = client.get("/websocket").await;
    assert!(route.starts_with("HTTP/1.1 426 "), "{route}");
    wsgate.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_by_name_only() {
    let identity = Identity::new("localhost");
    let upstream = Upstream::start().await;
    let common = format!(
        "--listen {ANYWHERE} {} --route /={}",
        identity.args(),
        upstream.url()
    );
    let (friend, stranger) = ("https://friend.test", "https://stranger.test");

    let mut wsgate = Program::start(&format!("{common} --allow-origin {friend}"));
    let address = wsgate.address().await;
    let own = format!("https://localhost:{}", address.port());
    let client = Client::new(address, "localhost", &identity.der);
    for origin in [&*own, friend] {
        client.open("/", Some(origin)).await.unwrap();
    }
    assert_eq!(client.refused("/", Some(stranger)).await, 403);
    wsgate.stop().await;

    let mut wsgate = Program::start(&format!("{common} --allow-origin *"));
    let client = Client::new(wsgate.address().await, "localhost", &identity.der);
    client.open("/", Some(stranger)).await.unwrap();
    wsgate.stop().await;
}

#[tokio::test]
async fn plain_http_is_served_when_asked_for() {
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --plain --trusted-proxy 127.0.0.1 --route /websocket={}",
        upstream.url()
    ));
    let url = wsgate.says("listening").await;
    let address = url.strip_prefix("http://").unwrap();

    let stream = TcpStream::connect(address).await.unwrap();
    let asked = format!("ws://{address}/websocket");
    let (mut socket, _) = client_async(asked, stream).await.unwrap();
    assert_eq!(hear(&mut socket).await, format!("/websocket {address}"));
    drop(socket);
    wsgate.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    let upstream = Upstream::start().await;
    let url = upstream.url();
    drop(upstream);
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --plain --route /websocket={url}"
    ));
    let address = wsgate.address().await;

    let stream = TcpStream::connect(address).await.unwrap();
    let refused = client_async(format!("ws://{address}/websocket"), stream).await;
    let Err(Error::Http(res)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(res.status(), 502);
    assert!(wsgate.logs("refused the connection").await.contains(&url));
    wsgate.stop().await;
}

#[tokio::test]
async fn browsers_are_kept_on_https() {
    let identity = Identity::new("localhost");
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --redirect-http {ANYWHERE} --hsts 1h {} --route /a=http://127.0.0.1:9",
        identity.args()
    ));
    let address = wsgate.address().await;
    let redirect = wsgate.says("redirecting").await;

    let stream = TcpStream::connect(redirect.strip_prefix("http://").unwrap());
    let answer = get(stream.await.unwrap(), "localhost", "/a").await;
    let location = format!("location: https://localhost:{}/a\r\n", address.port());
    assert!(answer.contains(&location), "{answer}");

    let client = Client::new(address, "localhost", &identity.der);
    let answer = client.get("/").await;
    let hsts = "strict-transport-security: max-age=3600\r\n";
    assert!(answer.contains(hsts), "{answer}");
    wsgate.stop().await;
}

#[tokio::test]
async fn a_balancer_tells_whose_tunnel_it_is() {
    let upstream = Upstream::start().await;
    let mut wsgate = Program::start(&format!(
        "--listen {ANYWHERE} --plain --proxy-protocol 127.0.0.0/8 --route /websocket={}",
        upstream.url()
    ));
    let mut stream = TcpStream::connect(wsgate.address().await).await.unwrap();
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.1 50000 80\r\n";
    stream.write_all(header).await.unwrap();
    let (socket, _) = client_async("ws://localhost/websocket", stream)
        .await
        .unwrap();
    drop(socket);
    let closed = wsgate.logs("tunnel closed").await;
    assert!(closed.contains("192.0.2.7:50000"), "{closed}");
    wsgate.stop().await;
}
