//! Files that several processes may make at the same time.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays: whoever was first wins.
    Keep,
    /// It is replaced: whoever is last wins.
    Replace,
}

/// The text of a file, `None` when there is none. Bytes that are no text are read as damaged
/// text, for the caller to find out.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a file that only the user may read (mode 0600) and that is never seen half-written: it
/// is written under another name first, then put in its place in one step.
pub(super) fn publish(path: &Path, text: &str, existing: Existing) -> io::Result<()> {
    let draft = Draft::write(path, text, Access::User)?;
    match existing {
        Existing::Replace => draft.replace(path),
        Existing::Keep => match fs::hard_link(&draft.path, path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // A file system without hard links: the last one wins there.
            Err(_) => draft.replace(path),
        },
    }
}

/// Makes a file for everyone to read, if it does not hold the text already.
pub(super) fn update(path: &Path, text: &str) -> io::Result<()> {
    if fs::read(path).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    Draft::write(path, text, Access::Everyone)?.replace(path)
}

/// A file under a name of its own, gone when this is dropped.
struct Draft {
    path: PathBuf,
}

#[derive(Clone, Copy)]
enum Access {
    User,
    Everyone,
}

// ===== impl Draft =====

impl Draft {
    /// Writes beside `target`, so that both are on one file system.
    fn write(target: &Path, text: &str, access: Access) -> io::Result<Self> {
        if let Some(directory) = target.parent() {
            make_directory(directory)?;
        }
        // Keyed by the operating system's randomness: no two processes agree on a number.
        let number = RandomState::new().hash_one(target);
        let draft = Self {
            path: target.with_extension(format!("{number:016x}.tmp")),
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        restrict(&mut options, access);
        let mut file = options.open(&draft.path)?;
        file.write_all(text.as_bytes())?;
        // Else a crash could leave the name in place and the content not.
        file.sync_all()?;
        Ok(draft)
    }

    fn replace(&self, target: &Path) -> io::Result<()> {
        fs::rename(&self.path, target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After a rename there is nothing left, which is fine.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, access: Access) {
    use std::os::unix::fs::OpenOptionsExt as _;

    options.mode(match access {
        Access::User => 0o600,
        Access::Everyone => 0o644,
    });
}

/// Elsewhere a user's own directories are for that user alone.
#[cfg(not(unix))]
fn restrict(_: &mut OpenOptions, _: Access) {}

fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;

        builder.mode(0o700);
    }
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_first_of_many_wins_and_no_draft_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/file.pem");
        thread::scope(|scope| {
            for number in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    publish(path, &number.to_string().repeat(1000), Existing::Keep).unwrap();
                    let seen = read(path).unwrap().unwrap();
                    assert_eq!(seen.len(), 1000);
                });
            }
        });
        let first = read(&path).unwrap();
        publish(&path, "late", Existing::Keep).unwrap();
        assert_eq!(read(&path).unwrap(), first);

        let left = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn replacing_and_updating_leave_the_new_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.pem");
        assert_eq!(read(&path).unwrap(), None);
        publish(&path, "one", Existing::Replace).unwrap();
        publish(&path, "two", Existing::Replace).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), "two");
        update(&path, "three").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), "three");
    }

    #[cfg(unix)]
    #[test]
    fn a_published_file_is_the_users_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = directory.path().join("new/key.pem");

        publish(&path, "secret", Existing::Keep).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        publish(&path, "secret", Existing::Replace).unwrap();
        assert_eq!(mode(&path), 0o600);
    }
}
