//! The environment, as a value. This is the only file that looks at the process's own.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Where `${NAME}` gets its value.
pub trait Env {
    /// The value of a variable, if it is set and is UTF-8.
    fn get(&self, name: &str) -> Option<String>;
}

/// The environment this process was started with.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnv;

impl ProcessEnv {
    /// The value of a variable as it is, also one that is not UTF-8, such as a path.
    pub fn get_raw(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

impl Env for ProcessEnv {
    #[allow(clippy::disallowed_methods, reason = "this is the border at which the environment is read")]
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}
