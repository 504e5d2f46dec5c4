//! No room for the development CA.

use std::fs;

use tokio::process::Command;

/// What is left where the CA is kept, and what the program said, on a disk of one page.
async fn start(filler: &str) -> (i32, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // A file system of one's own takes a mount namespace of one's own. The second start has room.
    let script = r#"
        set -e
        mount -t tmpfs -o size=4k tmpfs "$1"
        head -c "$2" /dev/zero > "$1/filler"
        "$0" dev --how-to-trust --data-dir "$1/ca" > /dev/null && exit 99
        code=$?
        ls "$1/ca"
        mount -o remount,size=64k "$1"
        "$0" dev --how-to-trust --data-dir "$1/ca" > /dev/null 2>&1
        tail -n +"$(grep -n 'BEGIN CERT' "$1/ca/ca-key.pem" | cut -d: -f1)" "$1/ca/ca-key.pem" | cmp - "$1/ca/ca.pem"
        exit $code
    "#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(env!("CARGO_BIN_EXE_wsgate"))
        .arg(&disk)
        .arg(filler)
        .env_remove("RUST_LOG")
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Of two files the first fits, or neither does. In each case the second start makes good what was
/// missing.
#[tokio::test]
async fn the_file_is_named_and_nothing_is_left_half_written() {
    for (filler, left, missing) in [("4096", "", "ca-key.pem"), ("0", "ca-key.pem\n", "ca.pem")] {
        let (code, files, said) = start(filler).await;
        assert_eq!(code, 2, "{said}");
        assert_eq!(files, left, "{said}");
        let expected = format!("/ca/{missing}: there is no room left on its disk");
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("No space left on device"), "{said}");
    }
}
