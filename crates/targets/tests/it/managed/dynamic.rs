//! Backends that HAProxy is given while it runs: always against what 3.4.0 said, and by hand on a real one.

mod real;
mod recorded;
