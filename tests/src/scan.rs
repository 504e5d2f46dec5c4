//! A scanner for TLS servers: sslyze, in Python's folder of the peers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::io::within;
use crate::program;

/// What a scan found.
#[derive(Debug, Deserialize)]
pub struct Scan {
    scan: BTreeMap<String, Check>,
    /// Where the server is not what Mozilla's profile "intermediate" wants, by what it is about.
    pub mozilla: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Check {
    status: String,
    result: Value,
}

// ===== impl Scan =====

impl Scan {
    /// Scans the server at `addr` as `localhost`, trusting the authority in this PEM file.
    ///
    /// # Panics
    ///
    /// When the scanner fails.
    pub async fn of(addr: SocketAddr, ca: &Path) -> Self {
        let python = program::target_folder().join("peers/venv/bin/python");
        let mut command = Command::new(program::installed(python));
        command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(program::scripts().join("python/tls_scan.py"))
            .args(["localhost", &addr.port().to_string()])
            .arg(ca)
            .kill_on_drop(true);
        let output = within("a scan", command.output()).await;
        let output = output.expect("the scanner starts");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let complaints = String::from_utf8_lossy(&output.stderr);
            panic!("the scanner failed, {error}: {complaints}")
        })
    }

    /// What was found out about one thing, called as sslyze calls it.
    ///
    /// # Panics
    ///
    /// When it was not found out.
    #[track_caller]
    pub fn result(&self, name: &str) -> &Value {
        let check = self.scan.get(name);
        let check = check.unwrap_or_else(|| panic!("sslyze knows no {name}"));
        assert_eq!(check.status, "COMPLETED", "{name}");
        &check.result
    }

    /// The suites of a protocol that the server took, by their names in the RFCs, sorted.
    ///
    /// # Panics
    ///
    /// As [`result`](Self::result).
    #[track_caller]
    pub fn suites(&self, protocol: &str) -> Vec<&str> {
        let accepted = &self.result(&format!("{protocol}_cipher_suites"))["accepted_cipher_suites"];
        let accepted = accepted.as_array().expect("a list of suites");
        let names = accepted
            .iter()
            .map(|suite| suite["cipher_suite"]["name"].as_str().expect("a name"));
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }
}
