//! How long clients are waited for before a WebSocket is open, and when an answer is not read.

use humantime::Duration;
use wsgate::server::Limits;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Slow clients")]
pub(crate) struct TimeArgs {
    /// How long a TLS handshake may take, from the connection on
    #[arg(long, value_name = "DURATION", default_value_t = Limits::DEFAULT_TLS_HANDSHAKE.into())]
    pub(crate) tls_timeout: Duration,

    /// How long the head of a request may take, from the TLS handshake or the answer before; an idle
    /// HTTP/1.1 connection is closed after it
    #[arg(long, value_name = "DURATION", default_value_t = Limits::DEFAULT_HEAD.into())]
    pub(crate) header_timeout: Duration,

    /// How long an HTTP/2 connection may be open with neither a request nor a WebSocket
    #[arg(long, value_name = "DURATION", default_value_t = Limits::DEFAULT_HTTP2_IDLE.into())]
    pub(crate) http2_idle_timeout: Duration,

    /// How long a side may take nothing of what it is sent: a client its answer, and either side of an
    /// open WebSocket what the other has said
    ///
    /// A client that takes next to nothing of an answer is cut as well: less than 240 bytes a second. The
    /// other side of a WebSocket gets a Close, 1014 if it is the client and 1001 if it is the upstream.
    #[arg(long, value_name = "DURATION", default_value_t = Limits::DEFAULT_SEND.into())]
    pub(crate) send_timeout: Duration,
}
