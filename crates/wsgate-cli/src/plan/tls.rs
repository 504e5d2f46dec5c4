//! TLS towards upstreams.

use std::path::Path;

use wsgate::proxy::UpstreamTls;

use super::PlanError;
use crate::args::UpstreamArgs;

pub(super) fn upstream_tls(args: &UpstreamArgs) -> Result<UpstreamTls, PlanError> {
    let failed = |option: String| move |source| PlanError::UpstreamTls { option, source };
    let mut tls = match &args.ca {
        Some(file) => UpstreamTls::ca_file(file).map_err(failed(option("--upstream-ca", file)))?,
        None => {
            UpstreamTls::system_roots().map_err(failed("there is no --upstream-ca".to_owned()))?
        }
    };
    if let Some((certificate, key)) = args.certificate.as_ref().zip(args.key.as_ref()) {
        let pair = format!(
            "{} {}",
            option("--upstream-cert", certificate),
            option("--upstream-key", key)
        );
        tls = tls
            .client_certificate_files(certificate, key)
            .map_err(failed(pair))?;
    }
    if let Some(name) = &args.server_name {
        tls = tls
            .server_name(name)
            .map_err(failed("--upstream-server-name".to_owned()))?;
    }
    Ok(tls)
}

/// The first option that is about TLS. One that nothing would come of is a misunderstanding.
pub(super) fn given_tls(args: &UpstreamArgs) -> Option<&'static str> {
    let given = [
        ("--upstream-ca", args.ca.is_some()),
        ("--upstream-cert", args.certificate.is_some()),
        ("--upstream-server-name", args.server_name.is_some()),
    ];
    let first = given.into_iter().find(|(_, given)| *given);
    first.map(|(option, _)| option)
}

fn option(name: &str, file: &Path) -> String {
    format!("{name} {}", file.display())
}
