//! Every disk operation that a promise rests on, in one place, so that a test can make the n-th
//! one fail, or cut the power before it.

use super::ArchiveError;
use crate::archive::Space;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// The disk; in tests, one that fails when told to.
#[derive(Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<super::tests::Faults>,
}

/// What is about to be done.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests look at what is done"))]
pub(super) enum Operation<'a> {
    SyncData(&'a File),
    SyncDirectory(&'a Path),
    Commit,
    /// One that makes nothing durable.
    Other,
}

impl Disk {
    #[cfg(test)]
    fn fault(&self, operation: Operation<'_>) -> Result<()> {
        self.faults.strike(operation)
    }

    #[cfg(not(test))]
    fn fault(&self, _: Operation<'_>) -> Result<()> {
        Ok(())
    }

    /// A new file that nobody else may read; fails where the name is taken.
    pub(super) fn create_new(&self, path: &Path) -> Result<File> {
        self.fault(Operation::Other)?;
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    pub(super) fn write(&self, file: &mut File, bytes: &[u8]) -> Result<()> {
        self.fault(Operation::Other)?;
        file.write_all(bytes)
    }

    /// Asks the kernel to begin writing a stretch of the file, so that the disk works while the rest
    /// comes in. A hint: it promises nothing, and whether it was taken changes nothing but speed.
    pub(super) fn begin_writing(&self, file: &File, from: u64, length: u64) {
        // "Not needed again" makes Linux start the write; pages that are being written stay.
        #[cfg(target_os = "linux")]
        let _ = rustix::fs::fadvise(
            file,
            from,
            std::num::NonZeroU64::new(length),
            rustix::fs::Advice::DontNeed,
        );
        #[cfg(not(target_os = "linux"))]
        let _ = (file, from, length);
    }

    /// Data and length on the disk. An error means that this file's bytes are lost: the kernel
    /// forgets which pages failed, so a second try may succeed without having written them.
    pub(super) fn sync_data(&self, file: &File) -> Result<()> {
        self.fault(Operation::SyncData(file))?;
        file.sync_data()
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.fault(Operation::Other)?;
        std::fs::rename(from, to)
    }

    /// Names in the directory on the disk.
    pub(super) fn sync_directory(&self, path: &Path) -> Result<()> {
        self.fault(Operation::SyncDirectory(path))?;
        File::open(path)?.sync_all()
    }

    pub(super) fn make_directory(&self, path: &Path) -> Result<()> {
        self.fault(Operation::Other)?;
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        self.fault(Operation::Other)?;
        std::fs::remove_file(path)
    }

    /// The moment at which the index commits.
    pub(super) fn before_commit(&self) -> Result<()> {
        self.fault(Operation::Commit)
    }

    /// Bytes that this process may still write.
    pub(super) fn free_bytes(&self, directory: &Path) -> Result<u64> {
        Ok(self.space(directory)?.free_bytes)
    }

    pub(super) fn space(&self, directory: &Path) -> Result<Space> {
        self.fault(Operation::Other)?;
        let space = rustix::fs::statvfs(directory)?;
        let taken = space.f_blocks.saturating_sub(space.f_bfree);
        Ok(Space {
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            total_bytes: taken.saturating_add(space.f_bavail).saturating_mul(space.f_frsize),
        })
    }
}

/// ENOSPC or EDQUOT.
pub(super) fn is_out_of_space(code: i32) -> bool {
    use rustix::io::Errno;
    code == Errno::NOSPC.raw_os_error() || code == Errno::DQUOT.raw_os_error()
}

/// A storage failure at a step.
pub(super) fn at(step: &'static str) -> impl FnOnce(Error) -> ArchiveError {
    move |source| ArchiveError::Storage { step, source }
}
