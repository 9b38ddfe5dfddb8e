//! What the system reports of the points of a path, through inotify on their directories.
//!
//! Reports are not queued but merged, so that a busy directory cannot fill the memory: what counts is that something
//! changed, and whether the last of it was whole.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use super::points::Points;
use super::watch::Hint;

/// How often a path is followed again because it changed while it was followed.
const ROUNDS: usize = 4;

/// The last report; each one counts as a change of the channel.
pub(super) type Heard = watch::Receiver<Option<Hint>>;

/// The watches on a path's directories.
pub(super) struct Notices {
    path: PathBuf,
    shared: Arc<Shared>,
    watcher: Option<RecommendedWatcher>,
}

struct Shared {
    bell: watch::Sender<Option<Hint>>,
    armed: Mutex<Armed>,
}

#[derive(Default)]
struct Armed {
    points: Points,
    /// A directory went away or reports were lost: all watches are to be made again.
    stale: bool,
}

/// What a report means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Meaning {
    hint: Hint,
    stale: bool,
}

impl Notices {
    /// Watches nothing yet; see [`Notices::arm`].
    pub(super) fn new(path: &Path) -> (Self, Heard) {
        let (bell, heard) = watch::channel(None);
        let shared = Arc::new(Shared { bell, armed: Mutex::default() });
        (Self { path: path.to_owned(), shared, watcher: None }, heard)
    }

    /// Sees to it that the directories are watched which the path leads through now. Cheap if they already are. It
    /// waits for the watching thread, so it is not for an async one.
    pub(super) fn arm(&mut self) -> Result<(), notify::Error> {
        let mut outcome = Ok(());
        for _ in 0..ROUNDS {
            let points = Points::of(&self.path);
            let (armed, stale) = self.shared.expect(&points);
            if stale {
                self.watcher = None;
            }
            if self.watcher.is_some() && armed == points {
                return Ok(());
            }
            // It fails if a directory went away in this moment too: then all of it again, the way it is now.
            outcome = self.watch(&armed, &points);
        }
        outcome
    }

    /// If it fails there is no watcher any more.
    fn watch(&mut self, before: &Points, points: &Points) -> Result<(), notify::Error> {
        let fresh = self.watcher.is_none();
        let mut watcher = if let Some(watcher) = self.watcher.take() {
            watcher
        } else {
            let shared = Arc::clone(&self.shared);
            notify::recommended_watcher(move |event| shared.hear(event))?
        };
        let kept = |directory: &PathBuf| {
            !fresh && before.directories.get(directory) == points.directories.get(directory)
        };
        if !fresh {
            for gone in before.directories.keys().filter(|directory| !kept(directory)) {
                // It fails if the directory is gone, and then the watch is gone too.
                watcher.unwatch(gone).ok();
            }
        }
        for new in points.directories.keys().filter(|directory| !kept(directory)) {
            watcher.watch(new, RecursiveMode::NonRecursive)?;
        }
        self.watcher = Some(watcher);
        Ok(())
    }
}

impl Shared {
    /// Listens for these points from now on; gives what was listened for, and whether that is stale.
    fn expect(&self, points: &Points) -> (Points, bool) {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut armed.points, points.clone());
        (before, std::mem::take(&mut armed.stale))
    }

    fn hear(&self, event: notify::Result<notify::Event>) {
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        let meaning = match event {
            Ok(event) => meaning(&event, &armed.points),
            Err(_) => Some(Meaning { hint: Hint::Whole, stale: true }),
        };
        let Some(Meaning { hint, stale }) = meaning else { return };
        armed.stale |= stale;
        drop(armed);
        self.bell.send_replace(Some(hint));
    }
}

fn meaning(event: &notify::Event, points: &Points) -> Option<Meaning> {
    if event.need_rescan() {
        return Some(Meaning { hint: Hint::Whole, stale: true });
    }
    let own = event.paths.iter().any(|path| points.names.contains(path));
    let directory = event.paths.iter().any(|path| points.directories.contains_key(path));
    let hint = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Hint::Whole,
        // Our own reading is reported too.
        EventKind::Access(_) => return None,
        EventKind::Modify(ModifyKind::Data(_)) => Hint::Writing,
        EventKind::Create(kind) if kind != notify::event::CreateKind::Folder => Hint::Writing,
        _ => Hint::Whole,
    };
    let gone = matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
    (own || directory).then_some(Meaning { hint, stale: directory && gone })
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind, RenameMode};

    use super::*;

    fn of(kind: EventKind, path: &str) -> Option<(Hint, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::write(root.join("a.yaml"), "").unwrap();
        let points = Points::of(&root.join("a.yaml"));
        let path = if path.is_empty() { root } else { root.join(path) };
        meaning(&notify::Event::new(kind).add_path(path), &points)
            .map(|meaning| (meaning.hint, meaning.stale))
    }

    #[test]
    fn only_what_may_have_changed_the_file_is_heard() {
        let close = |mode| EventKind::Access(AccessKind::Close(mode));
        let data = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        let renamed = |mode| EventKind::Modify(ModifyKind::Name(mode));
        for (kind, path, wanted) in [
            (close(AccessMode::Write), "a.yaml", Some((Hint::Whole, false))),
            (close(AccessMode::Write), "b.yaml", None),
            (close(AccessMode::Read), "a.yaml", None),
            (EventKind::Access(AccessKind::Open(AccessMode::Any)), "a.yaml", None),
            (data, "a.yaml", Some((Hint::Writing, false))),
            (EventKind::Create(CreateKind::File), "a.yaml", Some((Hint::Writing, false))),
            (renamed(RenameMode::To), "a.yaml", Some((Hint::Whole, false))),
            (EventKind::Remove(RemoveKind::File), "a.yaml", Some((Hint::Whole, false))),
            (
                EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any)),
                "a.yaml",
                Some((Hint::Whole, false)),
            ),
            (EventKind::Remove(RemoveKind::Folder), "", Some((Hint::Whole, true))),
            (renamed(RenameMode::From), "", Some((Hint::Whole, true))),
        ] {
            assert_eq!(of(kind, path), wanted, "{kind:?} {path}");
        }
    }

    #[test]
    fn lost_reports_make_all_watches_stale() {
        let event = notify::Event::new(EventKind::Other).set_flag(Flag::Rescan);
        let wanted = Some(Meaning { hint: Hint::Whole, stale: true });
        assert_eq!(meaning(&event, &Points::default()), wanted);
    }
}
