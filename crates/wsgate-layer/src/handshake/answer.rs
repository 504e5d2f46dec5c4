use http::{
    HeaderMap, HeaderValue, Response,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_PROTOCOL, UPGRADE,
    },
};

use super::{key::accept_key, tokens};

/// What a handshake offered: the measure for its answer.
#[derive(Clone, Debug)]
pub struct Offer {
    accept: HeaderValue,
    protocols: Vec<HeaderValue>,
    extensions: Vec<HeaderValue>,
}

/// Why a 101 does not answer its handshake (RFC 6455 4.1, the client's checks).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// No `Upgrade: websocket`.
    #[error("its 101 has no `Upgrade: websocket`")]
    Upgrade,
    /// No `Connection: Upgrade`.
    #[error("its 101 has no `Connection: Upgrade`")]
    Connection,
    /// Not the one `Sec-WebSocket-Accept` that the key asks for.
    #[error("its 101 has not the `Sec-WebSocket-Accept` that answers the key")]
    Accept,
    /// More than one subprotocol, or one that was not offered. What is part of what was offered is `***`
    /// here: applications send tokens there.
    #[error("its 101 chose the subprotocol `{0}`, which was not offered")]
    Protocol(String),
    /// An extension that was not offered.
    #[error("its 101 agreed to the extension `{0}`, which was not offered")]
    Extension(String),
    /// A 2xx where the client would take it for the opened WebSocket (RFC 8441 5).
    #[error("it answered {0} where a handshake wants 101")]
    Status(u16),
    /// A 101 to a request that was no WebSocket handshake.
    #[error("it answered 101 to a request that asked for no upgrade")]
    Unasked,
}

// ===== impl Offer =====

impl Offer {
    /// Keeps what an HTTP/1.1 handshake offers. Nothing is copied: field values share their bytes.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let values = |name| headers.get_all(name).iter().cloned().collect();
        let key = headers.get(SEC_WEBSOCKET_KEY);
        Self {
            accept: accept_key(key.map_or(b"", |k| k.as_bytes())),
            protocols: values(SEC_WEBSOCKET_PROTOCOL),
            extensions: values(SEC_WEBSOCKET_EXTENSIONS),
        }
    }

    /// Holds a 101 to what was offered.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check<B>(&self, res: &Response<B>) -> Result<(), AnswerError> {
        let headers = res.headers();
        if !tokens::contains(headers, &UPGRADE, "websocket") {
            return Err(AnswerError::Upgrade);
        }
        if !tokens::contains(headers, &CONNECTION, "upgrade") {
            return Err(AnswerError::Connection);
        }
        if tokens::only(headers, &SEC_WEBSOCKET_ACCEPT) != Some(&self.accept) {
            return Err(AnswerError::Accept);
        }
        self.check_protocol(headers)?;
        self.check_extensions(headers)
    }

    fn check_protocol(&self, headers: &HeaderMap) -> Result<(), AnswerError> {
        let Some(first) = headers.get(SEC_WEBSOCKET_PROTOCOL) else {
            return Ok(());
        };
        let mut offered = self.protocols.iter().flat_map(tokens::split);
        match tokens::only(headers, &SEC_WEBSOCKET_PROTOCOL) {
            // Subprotocol names are compared with their case (RFC 6455 4.1).
            Some(chosen) if offered.any(|o| chosen == o) => Ok(()),
            _ => Err(AnswerError::Protocol(self.without_secrets(first))),
        }
    }

    /// What the upstream chose, for the log. Pages cannot set a field of a handshake, so applications send
    /// tokens in the place of subprotocols; and there are upstreams that repeat the whole list. What looks
    /// like something of the client's is not shown.
    fn without_secrets(&self, chosen: &HeaderValue) -> String {
        let chosen = printable(chosen);
        let offered = self.protocols.iter().map(printable).collect::<String>();
        let offered = offered.to_ascii_lowercase();
        let shown = chosen.split([',', ' ']).filter(|word| !word.is_empty());
        let shown = shown.map(|word| match offered.contains(&word.to_ascii_lowercase()) {
            true => "***",
            false => word,
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    fn check_extensions(&self, headers: &HeaderMap) -> Result<(), AnswerError> {
        for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            if value.to_str().is_err() {
                return Err(AnswerError::Extension(printable(value)));
            }
        }
        for chosen in tokens::members(headers, &SEC_WEBSOCKET_EXTENSIONS) {
            let mut offered = self.extensions.iter().flat_map(tokens::split);
            if !offered.any(|o| name(o).eq_ignore_ascii_case(name(chosen))) {
                return Err(AnswerError::Extension(name(chosen).to_owned()));
            }
        }
        Ok(())
    }
}

/// The name of an extension, before its parameters.
fn name(extension: &str) -> &str {
    extension.split(';').next().unwrap_or_default().trim_end()
}

fn printable(value: &HeaderValue) -> String {
    value.as_bytes().escape_ascii().to_string()
}
