//! Who may read a file that holds a secret.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A file with a secret in it that more people can open than need to.
///
/// `Display` is the sentence for the log: the file, its mode, and what to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoosePermissions {
    file: PathBuf,
    mode: u32,
}

/// Looks at the mode of a file with a private key, or another secret. `None` where it is tight, where the
/// file cannot be looked at, and on systems without modes.
///
/// Tight is what PostgreSQL takes for its key: no right for anyone but the owner (0600, 0400), or for
/// a file of root's the right to read for its group as well (0640). That is how Debian hands keys to
/// services, by the group `ssl-cert`. A group may read no file of an ordinary user: that user is the one
/// who needs it, and could have tightened it.
///
/// Blocks on the file system, for one `stat`.
pub fn loose_permissions(file: &Path) -> Option<LoosePermissions> {
    let (mode, owner) = mode_and_owner(file)?;
    is_loose(mode, owner).then(|| LoosePermissions {
        file: file.to_owned(),
        mode,
    })
}

// ===== impl LoosePermissions =====

impl fmt::Display for LoosePermissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, mode } = self;
        let file = file.display();
        let who = match mode & OTHERS {
            0 => "its group",
            _ => "everyone on this machine",
        };
        write!(
            f,
            "the file {file} holds a secret, and its mode {mode:04o} lets {who} at it: \
             `chmod 600 {file}`, or 640 where root owns it and this program reads it by its group"
        )
    }
}

const fn is_loose(mode: u32, owner: u32) -> bool {
    let group = match owner {
        ROOT => GROUP & !GROUP_READ,
        _ => GROUP,
    };
    mode & (OTHERS | group) != 0
}

#[cfg(unix)]
fn mode_and_owner(file: &Path) -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;

    let metadata = fs::metadata(file).ok()?;
    // A pipe or a device has no content to be read by others later.
    metadata
        .is_file()
        .then(|| (metadata.mode() & 0o777, metadata.uid()))
}

#[cfg(not(unix))]
fn mode_and_owner(_: &Path) -> Option<(u32, u32)> {
    None
}

const ROOT: u32 = 0;
const GROUP: u32 = 0o070;
const GROUP_READ: u32 = 0o040;
const OTHERS: u32 = 0o007;

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn tight_is_the_owner_alone_or_roots_group_reading() {
        for (mode, owner, loose) in [
            (0o600, 1000, false),
            (0o400, 1000, false),
            (0o640, 1000, true),
            (0o604, 1000, true),
            (0o644, 1000, true),
            (0o600, 0, false),
            (0o640, 0, false),
            (0o440, 0, false),
            (0o660, 0, true),
            (0o644, 0, true),
            (0o602, 0, true),
        ] {
            assert_eq!(is_loose(mode, owner), loose, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn a_loose_file_is_told_by_name_with_the_command() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let set = |mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(file.path(), mode).unwrap();
            loose_permissions(file.path()).map(|loose| loose.to_string())
        };
        assert_eq!(set(0o600), None);
        let told = set(0o644).unwrap();
        let command = format!("`chmod 600 {}`", file.path().display());
        assert!(told.contains("0644 lets everyone"), "{told}");
        assert!(told.contains(&command), "{told}");
        assert!(set(0o660).unwrap().contains("lets its group"));
        assert_eq!(loose_permissions(Path::new("/no/such/file")), None);
        assert_eq!(loose_permissions(Path::new("/dev/null")), None);
    }
}
