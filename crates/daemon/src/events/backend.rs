//! What becomes of backends: which service has them, and what keeps their servers.

use roster_core::expose::Unexposed;
use roster_core::guard::Hold;
use roster_core::plan::{Note, Replacement};
use roster_haproxy::name::{BackendName, ServiceKey, TargetName};

use super::fact::count;
use super::{About, Event, Level};
use crate::hint;

/// A backend that services want is not there.
pub(crate) struct BackendMissing<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub service: &'a ServiceKey,
}

/// Something an operator should know of a backend.
pub(crate) struct Noted<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub note: &'a Note,
}

/// A guard holds changes back.
pub(crate) struct ChangesHeld<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub hold: &'a Hold,
}

/// A guard holds nothing back any more.
pub(crate) struct HoldEnded<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
}

/// A service is left out.
pub(crate) struct LeftOut<'a> {
    pub target: &'a TargetName,
    pub why: &'a Unexposed,
}

/// Another service has a backend than before.
pub(crate) struct BackendTakenOver<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub before: &'a ServiceKey,
    pub after: &'a ServiceKey,
}

/// Another instance is at the address of one that had a server, and goes on taking its traffic.
pub(crate) struct InstanceReplaced<'a> {
    pub target: &'a TargetName,
    pub backend: &'a BackendName,
    pub replacement: &'a Replacement,
}

impl Event for BackendMissing<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(self.backend.to_string()),
            service: Some(self.service.to_string()),
            ..About::default()
        };
        (
            "backend_missing",
            "HAProxy has no backend of this name; add it to its configuration, or change `expose`".into(),
            about,
        )
    }
}

impl Event for Noted<'_> {
    fn level(&self) -> Level {
        if self.note.is_ordinary() { Level::Info } else { Level::Warn }
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(self.backend.to_string()),
            ..About::default()
        };
        ("noted", hint::noted(self.note), about)
    }
}

impl Event for ChangesHeld<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let Self { target, backend, hold } = self;
        let about = About {
            target: Some(target.to_string()),
            backend: Some(backend.to_string()),
            guard: Some(hold.guard.to_string()),
            leaving: count(hold.leaving),
            of: count(hold.of),
            ..About::default()
        };
        let release = hint::so(format_args!("release {backend}"), "lets it through");
        ("held", format!("held back: {hold}{release}"), about)
    }
}

impl Event for HoldEnded<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(self.backend.to_string()),
            ..About::default()
        };
        ("hold_ended", "nothing is held back any more".into(), about)
    }
}

impl Event for LeftOut<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About { target: Some(self.target.to_string()), ..About::default() };
        ("left_out", self.why.to_string(), about)
    }
}

impl Event for BackendTakenOver<'_> {
    fn level(&self) -> Level {
        Level::Warn
    }

    fn fact(&self) -> (&'static str, String, About) {
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(self.backend.to_string()),
            service: Some(self.after.to_string()),
            ..About::default()
        };
        let message = format!(
            "the backend was that of service {} and is that of {} now; its servers are judged as if they were of one service",
            self.before, self.after
        );
        ("taken_over", message, about)
    }
}

impl Event for InstanceReplaced<'_> {
    fn level(&self) -> Level {
        Level::Info
    }

    fn fact(&self) -> (&'static str, String, About) {
        let Replacement { server, endpoint, instance, before } = self.replacement;
        let about = About {
            target: Some(self.target.to_string()),
            backend: Some(self.backend.to_string()),
            server: Some(server.to_string()),
            ..About::default()
        };
        let message = format!("{server}: {instance} is at {endpoint} now, the address of {before}");
        ("instance_replaced", message, about)
    }
}
