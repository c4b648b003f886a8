//! Room on the disk, taken before it is needed: a request is served only if its row will find a
//! place, and whatever else fills the disk meanwhile cannot take that away.

use std::{fs::File, io};

/// Takes `length` bytes of room from `start` on, without making the file longer, and tells where
/// it ends. A file system that cannot do that has room until a write fails.
#[cfg(target_os = "linux")]
pub(super) fn take(file: &File, start: u32, length: u32) -> io::Result<u32> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    loop {
        match fallocate(file, FallocateFlags::KEEP_SIZE, start.into(), length.into()) {
            Ok(()) => return Ok(start.saturating_add(length)),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                return Ok(u32::MAX);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Elsewhere there is room until a write fails.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "as it is on Linux")]
pub(super) fn take(_: &File, _: u32, _: u32) -> io::Result<u32> {
    Ok(u32::MAX)
}
