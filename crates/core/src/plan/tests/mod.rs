//! Planning against a small HAProxy made of values.

mod authors;
mod life;
mod properties;
mod sim;
