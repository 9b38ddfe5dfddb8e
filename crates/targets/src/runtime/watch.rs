//! Noticing that a stats socket was made anew, which a restart of HAProxy does.
//!
//! It is only a hint that saves up to one poll: a reload hands the socket over and makes none.

use std::path::Path;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::debug;

/// Watches the folder of a socket's path and gives a sign whenever the path itself is made or replaced. It ends when
/// what it returns is dropped; nothing is returned where the folder cannot be watched.
pub(super) fn watch(path: &Path, sign: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let folder = path.parent()?.to_owned();
    let socket = path.to_owned();
    let tell = move |event: Result<Event, notify::Error>| {
        if event.is_ok_and(|event| !event.kind.is_access() && event.paths.contains(&socket)) {
            // One sign that waits is enough.
            sign.try_send(()).ok();
        }
    };
    let started = notify::recommended_watcher(tell).and_then(|mut watcher| {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match started {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            debug!(folder = %folder.display(), "not watched, a restart is noticed by asking: {error}");
            None
        }
    }
}
