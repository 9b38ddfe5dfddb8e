//! The profiles: `defaults` sections that only `add backend` names.

use std::collections::BTreeMap;

use super::{Writer, said};
use crate::render::profile::Profile;
use crate::render::proxy::Pool;
use crate::render::structure::KnownProfile;
use crate::render::value::ProfileName;
use crate::version::Version;

/// The first HAProxy with `add backend`.
const SINCE: Version = Version::new(3, 4, 0);

/// What no section that builds on a `defaults` may find there, or what is seen only there: rules, and captures where the
/// section is a backend's (`proxy_ref_defaults` in HAProxy's `src/proxy.c`).
const NOT_PASSED_ON: [&str; 9] = [
    "acl",
    "capture",
    "declare",
    "http-after-response",
    "http-request",
    "http-response",
    "quic-initial",
    "tcp-request",
    "tcp-response",
];

impl Writer<'_> {
    /// Writes the profiles that can stand, each once, and returns them by name. `user` is the operator's part of the one
    /// `defaults`.
    pub(super) fn profiles(&mut self, profiles: &[Profile], user: &str) -> Vec<KnownProfile> {
        if self.version < SINCE || profiles.is_empty() || !is_passed_on(user) {
            return Vec::new();
        }
        let mut known = BTreeMap::new();
        for profile in profiles.iter().filter(|profile| profile.can_be_inherited()) {
            let lines = self.profile(profile);
            if let Some(name) = self.free_name(&lines) {
                known.entry(name.clone()).or_insert(KnownProfile { name, mode: profile.mode, lines });
            }
        }
        let Some(base) = self.free_name(&said(user)).filter(|base| !known.contains_key(base)) else {
            return Vec::new();
        };
        if known.is_empty() {
            return Vec::new();
        }
        self.line("\n# Kept by Roster: for backends that are added while HAProxy runs.\ndefaults ", &base);
        self.operators("    ", user);
        for KnownProfile { name, lines, .. } in known.values() {
            self.line("\n# Kept by Roster.\ndefaults ", format_args!("{name} from {base}"));
            self.config.push_str(lines);
        }
        known.into_values().collect()
    }

    /// The text of a profile, as it stands in the backends that it is for.
    fn profile(&mut self, profile: &Profile) -> String {
        let Profile { mode, balance, cookie, check, strip_prefix, lines } = profile;
        let (balance, cookie, check) = (balance.clone(), cookie.clone(), check.clone());
        let start = self.config.len();
        self.body(*mode, &Pool { balance, cookie, check, servers: Vec::new() }, strip_prefix.as_ref());
        for line in lines {
            self.line("    ", line.as_str());
        }
        self.config.split_off(start)
    }

    /// The name for a text, unless a section has it: HAProxy takes no file where a proxy and a `defaults` share one.
    fn free_name(&self, text: &str) -> Option<ProfileName> {
        let name = ProfileName::new(&format!("{}-{:016x}", crate::render::DEFAULTS, hash(text))).ok()?;
        let is_taken = self.taken.contains(name.as_str());
        (!is_taken).then_some(name)
    }
}

/// Whether another section can build on a copy of this one. What cannot be told counts as no.
fn is_passed_on(user: &str) -> bool {
    user.lines().filter_map(|line| line.split_whitespace().next()).all(|word| {
        let bare = word.replace(['"', '\'', '\\'], "");
        bare.starts_with('#') || (bare == word && !word.contains('$') && !NOT_PASSED_ON.contains(&word))
    })
}

/// FNV-1a, 64 bits: the same on every machine and in every build, which the names have to be.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
