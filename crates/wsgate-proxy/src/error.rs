//! What can go wrong before there is a tunnel: whose fault it is, and what the client is told.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use axum::body::Body;
use http::{
    HeaderValue, Response, StatusCode, Version,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use wsgate_layer::{
    handshake::{AnswerError, Refusal},
    origin::OriginError,
};

use crate::{Endpoint, exhausted::Exhausted, path::Unmapped, tls::is_tls_error};

/// Why a handshake did not become a tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error(transparent)]
    Refusal(Refusal),
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error(transparent)]
    Path(#[from] Unmapped),
    #[error(
        "the server below the proxy does not upgrade connections: serve with upgrades, and let no \
         layer take the OnUpgrade out of the request"
    )]
    NoOnUpgrade,
    #[error("upstream {endpoint} {failure}")]
    Upstream {
        endpoint: Endpoint,
        #[source]
        failure: UpstreamFailure,
    },
    #[error("upstream `{0}` has no endpoint that can take a tunnel now")]
    NoEndpoint(String),
}

/// What an upstream did wrong. Cloned for each of those who waited for one connection.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum UpstreamFailure {
    /// Not the upstream's doing at all.
    #[error("cannot be connected to now: the gateway has {0}")]
    Exhausted(Exhausted, #[source] Arc<io::Error>),
    #[error("refused the connection")]
    Refused(#[source] Arc<io::Error>),
    #[error("could not be reached")]
    Unreachable(#[source] Arc<io::Error>),
    #[error("failed the TLS handshake")]
    Tls(#[source] Arc<io::Error>),
    #[error("did not take the connection within {0:?}")]
    ConnectTimeout(Duration),
    #[error("broke off the handshake")]
    BrokeOff(#[source] Cause),
    #[error("did not answer in HTTP/1.1")]
    NotHttp(#[source] Cause),
    #[error("did not answer in HTTP/2")]
    NotHttp2(#[source] Cause),
    #[error("offers no WebSockets over HTTP/2 (RFC 8441), and is set to `Http2::Only`")]
    NoHttp2,
    #[error("cannot be asked over HTTP/2 for `{0}`, which is no host")]
    Host(String),
    #[error("did not answer the handshake within {0:?}")]
    HandshakeTimeout(Duration),
    #[error("failed the handshake: {0}")]
    Answer(AnswerError),
}

/// What the HTTP library says.
type Cause = Arc<dyn Error + Send + Sync>;

/// Who failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Gateway,
    Upstream,
}

// ===== impl ProxyError =====

impl ProxyError {
    pub(crate) const fn side(&self) -> Side {
        match self {
            Self::Refusal(_) | Self::Origin(_) | Self::Path(Unmapped::DotSegments) => Side::Client,
            Self::Path(Unmapped::OtherPrefix(_)) | Self::NoOnUpgrade => Side::Gateway,
            Self::Upstream {
                failure: UpstreamFailure::Exhausted(..),
                ..
            } => Side::Gateway,
            Self::Upstream { .. } | Self::NoEndpoint(_) => Side::Upstream,
        }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::Refusal(refusal) => refusal.status(),
            Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::Path(Unmapped::DotSegments) => StatusCode::BAD_REQUEST,
            Self::Path(Unmapped::OtherPrefix(_)) | Self::NoOnUpgrade => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::NoEndpoint(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream { failure, .. } => match failure {
                UpstreamFailure::ConnectTimeout(_) | UpstreamFailure::HandshakeTimeout(_) => {
                    StatusCode::GATEWAY_TIMEOUT
                }
                UpstreamFailure::Exhausted(..) => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_GATEWAY,
            },
        }
    }

    /// The one place where an error becomes an answer. Observers find the reason in its extensions.
    pub(crate) fn to_response(&self, version: Version) -> Response<Body> {
        if let Self::Refusal(refusal) = self {
            return refusal.to_response(version);
        }
        let mut res = Response::new(Body::from(format!("{self}\n")));
        *res.status_mut() = self.status();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        res.headers_mut().insert(CONTENT_TYPE, text);
        match self {
            Self::Origin(error) => {
                res.extensions_mut().insert(error.clone());
            }
            Self::Upstream {
                failure: UpstreamFailure::Answer(error),
                ..
            } => {
                res.extensions_mut().insert(error.clone());
            }
            // RFC 9110 15.6.4. Soon, as places become free with every tunnel that ends.
            Self::NoEndpoint(_)
            | Self::Upstream {
                failure: UpstreamFailure::Exhausted(..),
                ..
            } => {
                res.headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        res
    }

    /// Anyone can make as many client errors as he likes, so those do not stand out in the log.
    pub(crate) fn log(&self, client: &dyn fmt::Display, route: &str) {
        let side = self.side();
        let status = self.status().as_u16();
        let cause = self.cause();
        let cause = cause.as_deref();
        if let Self::Upstream {
            failure: UpstreamFailure::Exhausted(exhausted, _),
            ..
        } = self
        {
            return exhausted.tell(|advice, left_out| {
                tracing::warn!(%client, route, status, %side, cause, left_out, advice, "{self}");
            });
        }
        match (side, self) {
            (Side::Upstream | Side::Gateway, _) => {
                tracing::warn!(%client, route, status, %side, cause, "{self}");
            }
            (Side::Client, Self::Origin(_)) => {
                tracing::info!(%client, route, status, %side, cause, "{self}");
            }
            (Side::Client, _) => tracing::debug!(%client, route, status, %side, cause, "{self}"),
        }
    }

    /// It is not the end yet: another endpoint will be asked.
    pub(crate) fn log_passed_over(&self, upstream: &str) {
        if let Self::Upstream {
            failure: UpstreamFailure::Exhausted(exhausted, _),
            ..
        } = self
        {
            return exhausted.tell(|advice, left_out| {
                tracing::warn!(upstream, left_out, advice, "{self}: trying the next");
            });
        }
        let cause = self.cause();
        tracing::info!(upstream, cause, "{self}: trying the next");
    }

    /// What lies below an upstream's failure, in the words of the libraries.
    fn cause(&self) -> Option<String> {
        let Self::Upstream { failure, .. } = self else {
            return None;
        };
        let chain = std::iter::successors(failure.source(), |&e| e.source());
        let words: Vec<_> = chain.map(ToString::to_string).collect();
        (!words.is_empty()).then(|| words.join(": "))
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Upstream => "upstream",
        })
    }
}

// ===== impl UpstreamFailure =====

impl UpstreamFailure {
    pub(crate) const fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout(_) | Self::HandshakeTimeout(_))
    }

    /// Whether the endpoint was sent nothing of the client's, who then cannot be the cause.
    pub(crate) const fn is_before_handshake(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::Unreachable(_)
                | Self::Tls(_)
                | Self::ConnectTimeout(_)
                | Self::NoHttp2
        )
    }

    /// What the gateway has no more of, where that is the cause.
    pub(crate) const fn exhausted(&self) -> Option<Exhausted> {
        match self {
            Self::Exhausted(exhausted, _) => Some(*exhausted),
            _ => None,
        }
    }

    pub(crate) fn connecting(error: io::Error) -> Self {
        if let Some(exhausted) = Exhausted::of(&error) {
            return Self::Exhausted(exhausted, error.into());
        }
        match error.kind() {
            _ if is_tls_error(&error) => Self::Tls(error.into()),
            io::ErrorKind::ConnectionRefused => Self::Refused(error.into()),
            // The peer's kernel gave up before our deadline did.
            _ => Self::Unreachable(error.into()),
        }
    }

    pub(crate) fn exchanging(error: hyper::Error) -> Self {
        // The wrong port, most often: another protocol's, or one with TLS.
        match error.is_parse() {
            true => Self::NotHttp(Arc::new(error)),
            false => Self::broke_off(error),
        }
    }

    /// The same over HTTP/2.
    pub(crate) fn http2(error: h2::Error) -> Self {
        // Frames that make no sense are found by our side; whatever else ends a stream or a connection
        // the endpoint has said, or done.
        match error.is_library() {
            true => Self::NotHttp2(Arc::new(error)),
            false => Self::broke_off(error),
        }
    }

    pub(crate) fn broke_off(error: impl Error + Send + Sync + 'static) -> Self {
        Self::BrokeOff(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use wsgate_layer::{OriginPolicy, client::TrustedProxies};

    use super::*;

    #[test]
    fn an_answer_carries_its_reason() {
        let request = Request::builder().header("origin", "https://evil.example");
        let request = request.body(()).unwrap();
        let policy = OriginPolicy::same_origin();
        let error = policy.check(&request, &TrustedProxies::none()).unwrap_err();
        let res = ProxyError::Origin(error.clone()).to_response(Version::HTTP_11);
        assert_eq!(res.extensions().get(), Some(&error));

        let error = ProxyError::Upstream {
            endpoint: "http://127.0.0.1:1".parse().unwrap(),
            failure: UpstreamFailure::Answer(AnswerError::Accept),
        };
        let res = error.to_response(Version::HTTP_11);
        assert_eq!(res.extensions().get(), Some(&AnswerError::Accept));
    }
}
