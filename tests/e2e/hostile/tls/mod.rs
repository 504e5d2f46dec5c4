//! TLS as attackers and scanners try it.

mod openssl;
mod reload;
mod scan;
mod tickets;
mod upstreams;

use std::net::SocketAddr;
use std::process::Stdio;

use tokio::process::Command;
use wsgate_tests::within;

/// What `openssl s_client` says of a handshake with these options, and whether there was one.
async fn s_client(addr: SocketAddr, options: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &addr.to_string()])
        .args(["-servername", "localhost"])
        .args(options)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = within("openssl", command.output()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}
