//! The file source on real files and real inotify.

mod changes;
mod losses;
mod rig;
mod stop;
