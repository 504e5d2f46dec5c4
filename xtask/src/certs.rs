//! `cargo xtask certs`: a CA and a server certificate in PEM files, for trials by hand.
//!
//! The tests make theirs in memory. This one shells out to `openssl`, which every machine has, so
//! that the tool builds in seconds and without a crypto library.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::workspace::Workspace;

/// Writes `ca.pem`, `ca.key`, `server.pem` and `server.key` to `dir`.
pub(crate) fn run(workspace: &Workspace, dir: Option<PathBuf>, names: &[String]) -> Result<()> {
    let dir = dir.unwrap_or_else(|| workspace.target.join("certs"));
    write(&dir, names)?;
    let dir = dir.display();
    crate::say(&format!(
        "wrote {dir}/server.pem and {dir}/server.key, signed by {dir}/ca.pem"
    ));
    crate::say(&format!(
        "try: curl --cacert {dir}/ca.pem https://{}/",
        names[0]
    ));
    Ok(())
}

fn write(dir: &Path, names: &[String]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    // A configuration of our own: the system's adds extensions that contradict these.
    let config = dir.join("openssl.cnf");
    fs::write(&config, configuration(names)).context("cannot write the openssl configuration")?;

    let request = |name: &str, subject: &str| {
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(dir)
            .args(["req", "-x509", "-newkey", "ec", "-noenc"]);
        openssl.args([
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-config",
            "openssl.cnf",
        ]);
        openssl.args([
            "-keyout",
            &format!("{name}.key"),
            "-out",
            &format!("{name}.pem"),
        ]);
        openssl.args(["-subj", subject, "-extensions", name]);
        openssl
    };
    process::read(request("ca", "/CN=wsgate test CA").args(["-days", "3650"]))?;
    // Browsers refuse server certificates that are valid for longer than 398 days.
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-days", "397"];
    process::read(request("server", "/CN=wsgate test server").args(signed))?;
    fs::remove_file(config).context("cannot remove the openssl configuration")
}

fn configuration(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| alternative_name(name)).collect();
    format!(
        "[req]\n\
         distinguished_name = subject\n\
         [subject]\n\
         [ca]\n\
         basicConstraints = critical, CA:TRUE\n\
         keyUsage = critical, keyCertSign, cRLSign\n\
         subjectKeyIdentifier = hash\n\
         [server]\n\
         basicConstraints = critical, CA:FALSE\n\
         keyUsage = critical, digitalSignature\n\
         extendedKeyUsage = serverAuth\n\
         subjectKeyIdentifier = hash\n\
         authorityKeyIdentifier = keyid\n\
         subjectAltName = {}\n",
        names.join(", ")
    )
}

fn alternative_name(name: &str) -> String {
    let kind = if name.parse::<IpAddr>().is_ok() {
        "IP"
    } else {
        "DNS"
    };
    format!("{kind}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_for_these_names_and_signed_by_the_ca() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                "localhost".to_owned(),
                "127.0.0.1".to_owned(),
                "::1".to_owned(),
            ],
        )
        .unwrap();

        for name in [
            ["-verify_hostname", "localhost"],
            ["-verify_ip", "127.0.0.1"],
            ["-verify_ip", "::1"],
        ] {
            let mut verify = Command::new("openssl");
            verify.current_dir(dir.path()).args([
                "verify",
                "-purpose",
                "sslserver",
                "-CAfile",
                "ca.pem",
            ]);
            let printed = process::read(verify.args(name).arg("server.pem")).unwrap();
            assert_eq!(printed, "server.pem: OK\n", "{name:?}");
        }
    }
}
