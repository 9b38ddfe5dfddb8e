//! A HAProxy that is kept through its Data Plane API: what its file says, what of it is to change, and what of that comes
//! to the running process.
//!
//! Invariants:
//! - A text that goes back differs from the text that was read only in the lines that an [`Edit`] names.
//! - A [`LiveWrite`] can only be made where the process, after its actions, is what the file says: the two texts are read
//!   again and compared. Whatever else changes is a [`ReloadWrite`] with its reasons.
//! - What is Roster's is told by the file itself: a [`Mark`] above a backend, `roster_` before an ACL's name.
//!
//! The facts come from Data Plane API 2.9 (`/v2`) and 3.2 (`/v3`) as measured with HAProxy 2.6 and 3.0.

mod action;
mod alike;
mod compare;
mod edit;
mod keywords;
mod live;
mod mark;
mod objects;
mod pass;
mod reason;
mod scan;
mod strategy;
mod view;

pub use action::{ACTIONS_HEADER, Action, Actions, LiveWeight, MAX_ACTIONS};
pub use edit::{Edit, EditError, ServerChange, ServerShape, WeightChange, apply, with_section};
pub use live::{LiveWrite, NotLive, Process, ProcessServer, ReloadWrite, process};
pub use mark::Mark;
pub use objects::{BackendObjects, Fields, NotObjects, backend_objects, server_object};
pub use pass::{Left, PassContext, PassWrite, Post, Posts, Why, Write, as_it_runs, write};
pub use reason::ReloadReason;
pub use strategy::{Conflict, Strategy, Verdict};
pub use view::{
    Algorithm, BackendView, FileView, FrontendView, SectionKind, SectionView, ServerView, TemplateView, host,
};

#[cfg(test)]
mod tests;
