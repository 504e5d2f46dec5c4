//! The limits on slow clients, and on the heads of their requests.

use wsgate::server::Limits;

use super::{PlanError, some_time};
use crate::args::GatewayArgs;

pub(super) fn limits(args: &GatewayArgs) -> Result<Limits, PlanError> {
    let time = &args.time;
    let head = some_time("--header-timeout", time.header_timeout)?;
    // More than can be is for the server to refuse.
    let request_head = usize::try_from(args.limits.max_request_head.as_u64()).unwrap_or(usize::MAX);
    Ok(Limits::new()
        .tls_handshake(some_time("--tls-timeout", time.tls_timeout)?)
        .first_request(head)
        .header_read(head)
        .http2_idle(some_time("--http2-idle-timeout", time.http2_idle_timeout)?)
        .send(some_time("--send-timeout", time.send_timeout)?)
        .request_head(request_head))
}
