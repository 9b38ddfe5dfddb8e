//! The managed target on real HAProxys.

mod listen;
mod process;
mod render;
