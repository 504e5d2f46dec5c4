//! How to make the programs of one's machine trust the development CA.

use std::path::Path;

/// Text to be printed, for the CA certificate at `path`.
pub(super) fn instructions(path: &Path) -> String {
    let path = path.display();
    format!(
        "\
The development certificate is signed by a CA of your own:
  {path}
It can vouch for localhost, 127.0.0.0/8 and ::1 only. Trust it once, where you need it:

  curl                  curl --cacert \"{path}\" https://localhost:<port>/
  Node.js               NODE_EXTRA_CA_CERTS=\"{path}\" node app.js
  Python                SSL_CERT_FILE=\"{path}\" python3 app.py
  Chromium on Linux     certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n \"{NAME}\" \\
                          -i \"{path}\"
                        (certutil: package libnss3-tools or nss-tools; when there is no such
                        database yet: mkdir -p ~/.pki/nssdb and certutil -N --empty-password
                        -d sql:$HOME/.pki/nssdb)
  Firefox               Settings, Privacy & Security, View Certificates, Authorities, Import
  Debian, Ubuntu        sudo cp \"{path}\" /usr/local/share/ca-certificates/{FILE}.crt
                        sudo update-ca-certificates
  Fedora, RHEL          sudo cp \"{path}\" /etc/pki/ca-trust/source/anchors/{FILE}.pem
                        sudo update-ca-trust
  Arch                  sudo trust anchor --store \"{path}\"
  macOS                 security add-trusted-cert -r trustRoot \\
                          -k ~/Library/Keychains/login.keychain-db \"{path}\"
  Windows               certutil -user -addstore Root \"{path}\"

Browsers read their list when they start: restart them afterwards.
"
    )
}

/// The one command for the browsers that most people use on this system.
pub(super) fn browser_command(path: &Path) -> String {
    let path = path.display();
    if cfg!(target_os = "macos") {
        format!(
            "security add-trusted-cert -r trustRoot -k ~/Library/Keychains/login.keychain-db \"{path}\""
        )
    } else if cfg!(windows) {
        format!("certutil -user -addstore Root \"{path}\"")
    } else {
        format!("certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n \"{NAME}\" -i \"{path}\"")
    }
}

/// How the CA is listed in a certificate store.
const NAME: &str = "wsgate development CA";

/// What its file is called in a system's store.
const FILE: &str = "wsgate-development-ca";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_is_told_the_path() {
        let text = instructions(Path::new("/home/me/some where/ca.pem"));
        for store in [
            "--cacert",
            "NODE_EXTRA_CA_CERTS=",
            "SSL_CERT_FILE=",
            "certutil -d sql:",
            "sudo cp",
            "add-trusted-cert",
            "certutil -user",
        ] {
            let line = text
                .lines()
                .position(|line| line.contains(store))
                .expect(store);
            // A long command goes on in the line after.
            let shown: String = text.lines().skip(line).take(2).collect();
            assert!(shown.contains("\"/home/me/some where/ca.pem\""), "{shown}");
        }
        assert!(text.contains("Firefox"));
    }
}
