//! Configurations of the programs that Roster stands in for, read unchanged and said in Roster's own words.

use std::fmt;

use crate::env::Env;
use crate::native::{Config, Log};
use crate::problem::{Problem, Problems};

pub mod cloud_discovery;
mod translation;

/// Another program's configuration that was read by that program's rules, and is right.
pub trait Translated: fmt::Debug {
    /// What is not wrong, and should still be known.
    fn warnings(&self) -> &[String];

    /// What it comes to. Fails where the program takes a value that Roster, the registry or HAProxy would refuse.
    fn config(&self, env: &dyn Env) -> Result<Config, Problems>;

    /// The native configuration, for a person: a secret that stands in the file itself becomes a variable.
    fn printed(&self) -> String;

    /// What the file cannot be run for, though the program calls it valid.
    fn refused(&self) -> Option<Problem>;

    /// What the program would log, and how.
    fn log(&self) -> Log;
}
