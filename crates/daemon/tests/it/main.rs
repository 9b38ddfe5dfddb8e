//! End to end: the real `roster` and real servers.

mod rig;

mod commands;
mod demo;
mod keeping;
mod memory;
