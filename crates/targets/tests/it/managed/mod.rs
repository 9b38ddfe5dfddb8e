//! The managed target, on real HAProxy.

mod dynamic;
mod file;
mod lines;
mod listen;
mod live;
mod process;
mod render;
