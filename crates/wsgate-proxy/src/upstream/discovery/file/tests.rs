//! The clock is paused: it goes on while nobody does anything, and stands still while a file is read.

use std::{error::Error as _, fs, time::Duration};

use tempfile::TempDir;
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_file_is_read_at_once_and_followed() {
    let (dir, upstream) = written("http://a\nhttp://b weight=2\n");
    upstream.discovered().await;
    check(&upstream, &["http://a 1", "http://b 2"]);

    write(&dir, "http://b weight=3\nhttp://c\n");
    check(&upstream, &["http://a 1", "http://b 2"]);
    sleep(SOON).await;
    check(&upstream, &["http://b 3", "http://c 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_renamed_into_its_place_is_followed() {
    let (dir, upstream) = written("http://a");
    let date = fs::metadata(path(&dir)).unwrap().modified().unwrap();
    let other = dir.path().join("other");
    // Neither its length nor its date tells.
    fs::write(&other, "http://b").unwrap();
    let file = File::options().write(true).open(&other).unwrap();
    file.set_modified(date).unwrap();
    fs::rename(&other, path(&dir)).unwrap();
    sleep(SOON).await;
    check(&upstream, &["http://b 1"]);
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn links_are_followed_as_they_change() {
    use std::os::unix::fs::symlink;

    // A ConfigMap: the file is a link into a link to a folder, and that link is replaced.
    let dir = TempDir::new().unwrap();
    for (folder, text) in [("1", "http://a"), ("2", "http://b")] {
        fs::create_dir(dir.path().join(folder)).unwrap();
        fs::write(dir.path().join(folder).join("endpoints"), text).unwrap();
    }
    symlink("1", dir.path().join("data")).unwrap();
    symlink("data/endpoints", path(&dir)).unwrap();
    let upstream = watched(&dir).unwrap();
    check(&upstream, &["http://a 1"]);

    symlink("2", dir.path().join("new")).unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("data")).unwrap();
    sleep(SOON).await;
    check(&upstream, &["http://b 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_changes_nothing_until_it_is_mended() {
    let (dir, upstream) = written("http://a");
    for broken in [
        "",
        "# nothing\n",
        "http://b\nhttp://",
        "http://b\nhttp://c weigth=2",
        "http://b\nhttp://b",
    ] {
        write(&dir, broken);
        sleep(SOON).await;
        check(&upstream, &["http://a 1"]);
    }
    fs::write(path(&dir), b"http://b\n\xff").unwrap();
    sleep(SOON).await;
    check(&upstream, &["http://a 1"]);
    fs::remove_file(path(&dir)).unwrap();
    sleep(SOON).await;
    check(&upstream, &["http://a 1"]);

    write(&dir, "http://b");
    sleep(SOON).await;
    check(&upstream, &["http://b 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_being_written_is_left_alone() {
    let (dir, upstream) = written("http://a\nhttp://b\nhttp://c\n");
    // The first look is after a second, and the second one 100 ms later.
    write(&dir, "http://a\n");
    sleep(Duration::from_millis(1_050)).await;
    write(&dir, "http://a\nhttp://b\nhttp://d\n");
    sleep(Duration::from_millis(500)).await;
    check(&upstream, &["http://a 1", "http://b 1", "http://c 1"]);
    sleep(SOON).await;
    check(&upstream, &["http://a 1", "http://b 1", "http://d 1"]);
}

#[test]
fn a_group_is_not_made_from_a_file_that_cannot_be_used() {
    #[track_caller]
    fn check(text: Option<&str>, what: &str, why: Option<&str>) {
        let dir = TempDir::new().unwrap();
        if let Some(text) = text {
            write(&dir, text);
        }
        let UpstreamError::File(error) = watched(&dir).unwrap_err() else {
            panic!("the file was not at fault");
        };
        let told = error
            .to_string()
            .replace(&path(&dir).display().to_string(), "FILE");
        assert_eq!(told, what);
        let source = error.source().map(ToString::to_string);
        assert!(match why {
            Some(why) => source.unwrap().starts_with(why),
            None => source.is_none(),
        });
    }
    check(None, "cannot read the endpoints in FILE", Some("No such"));
    check(Some(""), "FILE names no endpoint", None);
    check(
        Some("\n\nhttp://a x"),
        "FILE, line 3",
        Some("`x` is no option"),
    );
    let large = "#".repeat(usize::try_from(LARGEST).unwrap() + 1);
    check(
        Some(&large),
        "cannot read the endpoints in FILE",
        Some("file too large"),
    );
}

/// Long enough for a change to be seen and to have settled.
const SOON: Duration = Duration::from_millis(2_200);

fn written(text: &str) -> (TempDir, Upstream) {
    let dir = TempDir::new().unwrap();
    write(&dir, text);
    let upstream = watched(&dir).unwrap();
    (dir, upstream)
}

fn watched(dir: &TempDir) -> Result<Upstream, UpstreamError> {
    let builder = Upstream::builder("test").file(EndpointFile::new(path(dir)));
    builder.build()
}

fn path(dir: &TempDir) -> PathBuf {
    dir.path().join("endpoints")
}

fn write(dir: &TempDir, text: &str) {
    fs::write(path(dir), text).unwrap();
}

#[track_caller]
fn check(upstream: &Upstream, expected: &[&str]) {
    let told = upstream.endpoints().into_iter();
    let told: Vec<_> = told
        .map(|e| format!("{} {}", e.endpoint, e.weight))
        .collect();
    assert_eq!(told, expected);
}
