//! HAProxy as a process: started, followed, reloaded, replaced, ended.
//!
//! Invariants:
//! - HAProxy outlives Roster. It leads a process group of its own, writes to a file and never to a pipe, and dropping
//!   what is here ends nothing.
//! - Its end is never missed (pidfd), whoever started it, and it is started again without ever spinning.
//! - A reload's outcome is what the master says; a new descriptor never goes through a reload, which kills 2.6.

mod beside;
mod child;
mod error;
mod external;
mod life;
mod line;
mod master;
mod output;
mod program;
mod reaper;
mod reload;
mod replace;
mod show_proc;
mod stop;
mod supervisor;

pub use child::Ended;
pub use error::ProcessError;
pub use external::External;
pub use life::Backoff;
pub use line::{Level, Line};
pub use master::MasterError;
pub use program::{Adoptable, Limits, Program};
pub use reaper::{GRACE, is_first_process, reap_orphans};
pub use reload::Reload;
pub use show_proc::Processes;
pub use stop::{Patience, Stopped};
pub use supervisor::{Event, Supervisor};
