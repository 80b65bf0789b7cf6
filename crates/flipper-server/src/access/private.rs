//! Files that other users must not read, and whether a file has changed.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

/// Opens a file, and nothing that could block, such as a pipe.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    File::open(path)
}

/// Who else can read or change it. Its group may read it only if root owns it: then root has chosen the group, as for a mounted secret.
#[cfg(unix)]
pub(crate) fn exposure(metadata: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;

    match metadata.mode() & 0o077 {
        0 => None,
        0o040 if metadata.uid() == 0 => None,
        mode if mode & 0o022 != 0 => Some("can be changed by other users; `chmod 600` makes it private"),
        _ => Some("can be read by other users; `chmod 600` makes it private"),
    }
}

#[cfg(not(unix))]
pub(crate) fn exposure(_: &Metadata) -> Option<&'static str> {
    None
}

pub(super) fn owner_only(options: &mut OpenOptions) {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    #[cfg(not(unix))]
    let _ = options;
}

/// The owner and mode of the file that this one replaces.
pub(super) fn take_over(file: &File, before: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            fchown(file, Some(before.uid()), Some(before.gid()))?;
        }
    }
    file.set_permissions(before.permissions())
}

/// Differs after each change of a file: its times, size, and on Unix its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: (u64, u64),
    /// Also after a change of its mode.
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let (inode, changed) = {
            use std::os::unix::fs::MetadataExt;
            ((metadata.dev(), metadata.ino()), (metadata.ctime(), metadata.ctime_nsec()))
        };
        #[cfg(not(unix))]
        let (inode, changed) = ((0, 0), (0, 0));
        Self { modified: metadata.modified().ok(), length: metadata.len(), inode, changed }
    }

    /// `None` if the file cannot be looked at.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}
