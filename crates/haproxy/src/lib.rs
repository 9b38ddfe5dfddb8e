//! HAProxy's own languages: the commands and answers of its sockets, the text of haproxy.cfg, maps and crt-lists.
//!
//! Nothing here opens a socket, reads a file, looks at the environment or asks for the time: text comes in and values go
//! out, or the reverse. Nothing here knows of sources, services or policies; those stand in the model.

pub mod address;
pub mod change;
pub mod cli;
pub mod dataplane;
pub mod keywords;
pub mod live;
pub mod name;
pub mod observed;
pub mod pem;
pub mod render;
pub mod version;
pub mod weight;

// render/tests/documents.rs is compiled into the tests of roster-targets too.
#[cfg(test)]
extern crate self as roster_haproxy;
