//! Folders: one for each process that writes a journal, locked while it lives.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use uuid::Uuid;

use super::segment;

/// The folder of this process.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    root: PathBuf,
    lock: Lock,
}

/// Held, not read: the lock goes when the recorder and all pens are gone, so that nobody claims a
/// folder in which somebody still writes.
#[derive(Debug, Clone)]
pub(super) struct Lock {
    _file: Arc<File>,
}

/// The folder of a process that is gone, and its segments in the order they were written.
#[derive(Debug)]
pub(super) struct Left {
    path: PathBuf,
    pub(super) segments: Vec<PathBuf>,
    _lock: File,
}

impl Folder {
    /// Makes a folder below `root` and claims those that nobody holds any more.
    pub(super) fn open(root: &Path) -> io::Result<(Self, Vec<Left>)> {
        create_private(root)?;
        // One process at a time: a folder that is made but not locked yet looks abandoned.
        let door = lock_file(&root.join("lock"))?;
        door.lock()?;
        let mut left = Vec::new();
        for entry in fs::read_dir(root)? {
            let path = entry?.path();
            if path.is_dir()
                && let Some(claimed) = Left::claim(path)?
            {
                left.push(claimed);
            }
        }
        let path = root.join(Uuid::now_v7().simple().to_string());
        create_private(&path)?;
        let lock = lock_file(&path.join("lock"))?;
        lock.lock()?;
        left.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((Self { path, root: root.to_owned(), lock: Lock { _file: Arc::new(lock) } }, left))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A share of the lock.
    pub(super) fn lock(&self) -> Lock {
        self.lock.clone()
    }

    /// Puts lines aside for a person to look at.
    pub(super) fn reject<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let path = self.root.join("rejected.jsonl");
        let mut file = segment::private().append(true).create(true).open(path)?;
        for line in lines {
            file.write_all(&[line, b"\n"].concat())?;
        }
        Ok(())
    }

    /// Removes the folder with all that is in it.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

impl Left {
    fn claim(path: PathBuf) -> io::Result<Option<Self>> {
        let lock = match fs::OpenOptions::new().write(true).open(path.join("lock")) {
            Ok(lock) => lock,
            // Somebody is just removing it, or died before a row was written.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let _ = fs::remove_dir(&path);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        let mut segments: Vec<(u64, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&path)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((pen, nth)) =
                name.strip_suffix(".jsonl").and_then(|name| name.split_once('-'))
            else {
                continue;
            };
            if let (Ok(pen), Ok(nth)) = (pen.parse(), nth.parse()) {
                segments.push((pen, nth, path));
            }
        }
        segments.sort();
        let segments = segments.into_iter().map(|(_, _, path)| path).collect();
        Ok(Some(Self { path, segments, _lock: lock }))
    }

    /// Removes the folder, whose rows are all committed.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    segment::private().write(true).create(true).truncate(false).open(path)
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut folder = fs::DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.create(path)
}
