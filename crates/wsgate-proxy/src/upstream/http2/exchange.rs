//! A handshake over HTTP/2: the upgrade that the header layer made, said as an extended CONNECT, and
//! the answer said as the 101 that it expects.
//!
//! | HTTP/1.1, RFC 6455 | HTTP/2, RFC 8441 5 |
//! |---|---|
//! | `GET /path HTTP/1.1` | `:method CONNECT`, `:path`, `:scheme` |
//! | `Upgrade: websocket`, `Connection: Upgrade` | `:protocol websocket` |
//! | `Host` | `:authority` |
//! | `Sec-WebSocket-Key` | none: a 2xx that nobody meant can't come from HTTP/2 |
//! | 101 with `Sec-WebSocket-Accept` | 2xx |
//!
//! The accept is made here, of the key that was in the request. What else an answer is held to, only
//! what was offered, is checked by the layer for both.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream, ext::Protocol};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHORIZATION,
        SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
    },
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Body as HttpBody, Frame, SizeHint};
use wsgate_layer::handshake::{self, Kind};

use super::{connection::Place, stream::Http2Stream};
use crate::{
    connect::UpstreamStream,
    error::UpstreamFailure,
    forward::{UpstreamBody, UpstreamParts},
};

/// A handshake that got no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: UpstreamFailure,
    /// Whether the endpoint cannot have processed it (RFC 9113 8.7), or the connection was an old one
    /// that has just turned out to be lost.
    pub(crate) may_be_repeated: bool,
}

/// The body of an answer that opens no tunnel. Dropped, it resets the stream.
pub(crate) struct RefusalBody {
    body: RecvStream,
    has_no_more_data: bool,
    _place: Place,
}

// ===== impl Place =====

impl Place {
    /// Sends the upgrade request as an extended CONNECT, and reads the head of the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it resets the stream, and the connection stays.
    pub(crate) async fn shake_hands<B>(
        self,
        req: &Request<B>,
        is_secure: bool,
    ) -> Result<Response<UpstreamBody>, Failed> {
        let connect = translate(req, is_secure).map_err(Failed::for_good)?;
        let lost = || UpstreamFailure::broke_off(io::Error::from(io::ErrorKind::NotConnected));
        let mut requests = self.requests().ok_or_else(|| Failed::unsent(lost()))?;
        let sent = match std::future::poll_fn(|cx| requests.poll_ready(cx)).await {
            Ok(()) => requests.send_request(connect, false),
            Err(error) => Err(error),
        };
        let (answer, send) = sent.map_err(|e| Failed::unsent(UpstreamFailure::http2(e)))?;
        // It would keep the connection open for as long as the answer takes.
        drop(requests);
        let answer = answer.await.map_err(|e| Failed::unanswered(e, &self))?;
        self.served();
        let (mut head, receive) = answer.into_parts();
        head.version = Version::HTTP_11;
        let body = match Kind::ExtendedConnect.is_accepted(head.status) {
            true => {
                head.status = StatusCode::SWITCHING_PROTOCOLS;
                accept(req.headers(), &mut head.headers);
                UpstreamBody::Upgraded(Box::new(UpstreamParts {
                    io: UpstreamStream::Http2(Box::new(Http2Stream::new(send, receive, self))),
                    early_data: Bytes::new(),
                }))
            }
            false => UpstreamBody::Refusal(Box::new(RefusalBody::new(receive, send, self))),
        };
        Ok(Response::from_parts(head, body))
    }
}

fn translate<B>(req: &Request<B>, is_secure: bool) -> Result<Request<()>, UpstreamFailure> {
    let mut headers = own(req.headers());
    let host = headers.remove(HOST).unwrap_or(HeaderValue::from_static(""));
    let authority = Authority::try_from(host.as_bytes())
        .map_err(|_| UpstreamFailure::Host(host.as_bytes().escape_ascii().to_string()))?;
    for name in ONLY_HTTP1 {
        headers.remove(name);
    }
    let path = req.uri().path_and_query().cloned();
    let mut target = http::uri::Parts::default();
    target.scheme = Some(if is_secure {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    });
    target.authority = Some(authority);
    target.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));

    let mut connect = Request::new(());
    *connect.method_mut() = Method::CONNECT;
    *connect.version_mut() = Version::HTTP_2;
    *connect.uri_mut() = Uri::from_parts(target).expect("a target with all of its parts");
    *connect.headers_mut() = headers;
    let protocol = Protocol::from_static("websocket");
    connect.extensions_mut().insert(protocol);
    Ok(connect)
}

/// Copies the fields as those of a connection that many clients share.
///
/// HPACK keeps some of them for as long as the connection lives, and a value holds the whole buffer
/// that the client's request was read into: 4 KiB of fields could hold a MiB. Secrets are kept out of its
/// table, where another client could find out about them by the size of its own requests (RFC 7541 7.1).
fn own(headers: &HeaderMap) -> HeaderMap {
    let mut owned = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let copy = HeaderValue::from_bytes(value.as_bytes());
        let mut copy = copy.expect("a field's value is one");
        let is_secret = SECRETS.contains(name) || value.is_sensitive();
        copy.set_sensitive(is_secret);
        owned.append(name, copy);
    }
    owned
}

const SECRETS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// What has no place in an extended CONNECT. A length of nothing would be broken by the first frame,
/// and `Connection` and what else goes from hop to hop the layer has taken out.
const ONLY_HTTP1: [HeaderName; 4] = [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY, CONTENT_LENGTH];

/// Makes the fields of an accepting answer those of a 101.
fn accept(asked: &HeaderMap, answer: &mut HeaderMap) {
    let key = asked.get(SEC_WEBSOCKET_KEY);
    let accept = handshake::accept_key(key.map_or(b"", |key| key.as_bytes()));
    answer.insert(SEC_WEBSOCKET_ACCEPT, accept);
    answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // Means nothing in an answer that opens a tunnel (RFC 9110 8.6), and a client could believe it.
    answer.remove(CONTENT_LENGTH);
}

// ===== impl Failed =====

impl Failed {
    const fn for_good(failure: UpstreamFailure) -> Self {
        Self {
            failure,
            may_be_repeated: false,
        }
    }

    const fn unsent(failure: UpstreamFailure) -> Self {
        Self {
            failure,
            may_be_repeated: true,
        }
    }

    fn unanswered(error: h2::Error, place: &Place) -> Self {
        let is_unprocessed = error.is_remote()
            && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
        let is_lost = !error.is_reset() && place.is_reused();
        Self {
            failure: UpstreamFailure::http2(error),
            may_be_repeated: is_unprocessed || is_lost,
        }
    }
}

// ===== impl RefusalBody =====

impl RefusalBody {
    fn new(body: RecvStream, mut send: SendStream<Bytes>, place: Place) -> Self {
        // Nothing will come from us. It fails where the endpoint did not want to hear it any more.
        let _ = send.send_data(Bytes::new(), true);
        Self {
            body,
            has_no_more_data: false,
            _place: place,
        }
    }
}

impl HttpBody for RefusalBody {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        let me = &mut *self;
        if !me.has_no_more_data {
            match ready!(me.body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Taken one by one, each when the client has room for it.
                    let _ = me.body.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // It had all been said, and our half is of no interest (RFC 9113 8.1).
                Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => {
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => me.has_no_more_data = true,
            }
        }
        let trailers = ready!(me.body.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_copied_and_secrets_kept_out_of_the_table() {
        let head = Bytes::from_static(b"a=secret; GET /websocket HTTP/1.1");
        let cookie = HeaderValue::from_maybe_shared(head.slice(..8)).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie);
        headers.append("x-many", HeaderValue::from_static("one"));
        headers.append("x-many", HeaderValue::from_static("two"));
        let owned = own(&headers);
        assert_eq!(owned, headers);
        assert!(owned[COOKIE].is_sensitive());
        assert!(!owned["x-many"].is_sensitive());
        assert_ne!(owned[COOKIE].as_bytes().as_ptr(), head.as_ptr());
    }
}
