//! The managed target, on real HAProxy.

mod file;
mod listen;
mod process;
mod render;
