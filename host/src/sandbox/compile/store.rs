//! The folder where compiled components rest, in the form of wasmtime's own cache, and beside it which of them are there.
//!
//! What lies here is executed as native code. It is trusted for one reason: the folder is the user's own and nobody else
//! can reach it (`engine::open_cache` sees to that). wasmtime reads its cache but does not say whether something is in it
//! without compiling what is not, so a mark is kept for each component, under a key that is made of the same things.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Component as Part, Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use wasmtime::Engine;

/// Where wasmtime's cache keeps its files.
const MODULES: &str = "modules";
const MARKS: &str = "known";
const MAKING: &str = "making-";
/// What compiled components may take together, and what is left of them where that is too much, in bytes. wasmtime's own
/// tidying up has the same bounds, but runs only in a process that compiles.
const MOST: u64 = 512 << 20;
const LEFT: u64 = MOST / 10 * 7;
/// A child's folder that is as old as this was left behind.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// A component for one kind of engine, in hex.
pub(super) type Key = String;

/// The key of a component: its bytes, and everything that what is compiled depends on.
pub(super) fn key(engine: &Engine, bytes: &[u8]) -> Key {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.write(bytes);
    hasher.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks for it: a digest has more than 64 bits.
    fn finish(&self) -> u64 {
        0
    }
}

pub(super) struct Store {
    folder: PathBuf,
}

/// A folder that a child fills. It goes with this, whatever is in it.
pub(super) struct Making(PathBuf);

impl Making {
    pub(super) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Store {
    pub(super) const fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Whether that component is in the cache.
    pub(super) fn has(&self, key: &Key) -> bool {
        let Ok(place) = fs::read_to_string(self.mark(key)) else { return false };
        let place = Path::new(&place);
        place.components().all(|part| matches!(part, Part::Normal(_))) && self.folder.join(place).is_file()
    }

    /// A new folder for a child, of the user's own.
    pub(super) fn begin(&self) -> io::Result<Making> {
        self.forget_what_was_left();
        let folder = self.folder.join(format!("{MAKING}{}", Uuid::new_v4().simple()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder)?;
        Ok(Making(folder))
    }

    /// Takes what a child made into the cache, in one step, and marks it.
    pub(super) fn take(&self, key: &Key, making: &Making) -> io::Result<()> {
        let Some(made) = compiled(&making.0).into_iter().next() else {
            return Err(io::Error::other("it left nothing behind"));
        };
        let place = made.strip_prefix(&making.0).map_err(io::Error::other)?;
        let to = self.folder.join(place);
        let text = place.to_str().ok_or_else(|| io::Error::other("a name that is no text"))?;
        fs::create_dir_all(to.parent().unwrap_or(&self.folder))?;
        fs::rename(&made, &to)?;
        let written = making.0.join("mark");
        fs::write(&written, text)?;
        let mark = self.mark(key);
        fs::create_dir_all(mark.parent().unwrap_or(&self.folder))?;
        fs::rename(written, mark)?;
        self.tidy(&to, MOST, LEFT);
        Ok(())
    }

    fn mark(&self, key: &Key) -> PathBuf {
        self.folder.join(MARKS).join(key)
    }

    /// Throws away what was not used for the longest time, but never what has just come.
    fn tidy(&self, newest: &Path, most: u64, left: u64) {
        let mut all: Vec<_> =
            compiled(&self.folder).into_iter().filter_map(|file| Some((used(&file)?, size(&file)?, file))).collect();
        let mut sum: u64 = all.iter().map(|(_, size, _)| size).sum();
        if sum <= most {
            return;
        }
        all.sort_unstable();
        for (_, size, file) in all.iter().filter(|(.., file)| file != newest) {
            if sum <= left {
                break;
            }
            let _ = fs::remove_file(file);
            let _ = fs::remove_file(statistics(file));
            sum -= size;
        }
        for mark in files(&self.folder.join(MARKS)) {
            if fs::read_to_string(&mark).is_ok_and(|place| !self.folder.join(place).is_file()) {
                let _ = fs::remove_file(mark);
            }
        }
    }

    /// Folders of children whose server was killed before it could throw them away.
    fn forget_what_was_left(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let old = entry.metadata().and_then(|it| it.modified()).ok().and_then(|since| since.elapsed().ok());
            if entry.file_name().to_string_lossy().starts_with(MAKING) && old.is_some_and(|age| age > FORGOTTEN) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// The compiled components of a cache: files without an extension, two folders down. What has one are statistics and
/// half-written files.
fn compiled(folder: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(folder.join(MODULES)).into_iter().flatten().flatten();
    versions.flat_map(|version| files(&version.path())).filter(|file| file.extension().is_none()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.path()).collect()
}

/// wasmtime writes this anew at each use.
fn statistics(file: &Path) -> PathBuf {
    file.with_extension("stats")
}

fn used(file: &Path) -> Option<SystemTime> {
    let modified = |file: &Path| fs::metadata(file).and_then(|it| it.modified()).ok();
    modified(&statistics(file)).max(modified(file))
}

fn size(file: &Path) -> Option<u64> {
    fs::metadata(file).ok().map(|it| it.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_folder(folder.path().to_owned());
        (folder, store)
    }

    /// As a child leaves it.
    fn made(store: &Store, name: &str, bytes: usize) -> Making {
        let making = store.begin().unwrap();
        let folder = making.folder().join(MODULES).join("wasmtime-1");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), vec![0; bytes]).unwrap();
        fs::write(folder.join(format!("{name}.stats")), "").unwrap();
        fs::write(folder.join("other.wip-atomic-write-mod"), "").unwrap();
        making
    }

    #[test]
    fn what_a_child_made_is_taken_once_it_is_whole() {
        let (folder, store) = store();
        assert!(!store.has(&"key".to_owned()));
        let making = made(&store, "abc", 3);
        store.take(&"key".to_owned(), &making).unwrap();
        drop(making);
        assert!(store.has(&"key".to_owned()) && !store.has(&"other".to_owned()));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.len() == 2 && left.iter().all(|name| name == MODULES || name == MARKS), "{left:?}");
        fs::remove_file(folder.path().join("modules/wasmtime-1/abc")).unwrap();
        assert!(!store.has(&"key".to_owned()), "a mark of something that is gone");
    }

    #[test]
    fn nothing_is_taken_of_a_child_that_left_nothing_or_half_a_file() {
        let (_folder, store) = store();
        let making = store.begin().unwrap();
        assert!(store.take(&"key".to_owned(), &making).is_err());
        fs::create_dir_all(making.folder().join("modules/wasmtime-1")).unwrap();
        fs::write(making.folder().join("modules/wasmtime-1/abc.wip-atomic-write-mod"), "half").unwrap();
        assert!(store.take(&"key".to_owned(), &making).is_err());
        assert!(!store.has(&"key".to_owned()));
    }

    #[test]
    fn a_mark_that_leads_elsewhere_is_none() {
        let (folder, store) = store();
        fs::create_dir(folder.path().join(MARKS)).unwrap();
        for place in ["../x", "/etc/passwd", "modules/../../x"] {
            fs::write(store.mark(&"key".to_owned()), place).unwrap();
            assert!(!store.has(&"key".to_owned()), "{place}");
        }
    }

    #[test]
    fn what_was_not_used_for_long_is_thrown_away_where_it_is_too_much() {
        let (folder, store) = store();
        for name in ["old", "used", "new"] {
            let making = made(&store, name, 10);
            store.take(&name.to_owned(), &making).unwrap();
        }
        let place = |name: &str| folder.path().join("modules/wasmtime-1").join(name);
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        for name in ["old", "used"] {
            fs::File::options().write(true).open(place(name)).unwrap().set_modified(long_ago).unwrap();
        }
        fs::write(place("used.stats"), "").unwrap();
        store.tidy(&place("new"), 30, 20);
        assert!(store.has(&"old".to_owned()), "not too much yet");
        store.tidy(&place("new"), 29, 20);
        let there = ["old", "used", "new"].map(|name| store.has(&name.to_owned()));
        assert_eq!(there, [false, true, true]);
        assert!(!store.mark(&"old".to_owned()).exists());
        store.tidy(&place("new"), 1, 0);
        assert!(store.has(&"new".to_owned()), "what has just come stays");
    }
}
