//! What a test may let go wrong.

use std::time::Duration;

/// Something that goes wrong with a call. The world stays as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ArmFault {
    /// 429 with `Retry-After` in seconds.
    Throttled(u32),
    /// 503, with `Retry-After` in seconds if given.
    Unavailable(Option<u32>),
    /// An error of this status with this code.
    Error(u16, &'static str),
    /// This status with this JSON, whatever was asked.
    Json(u16, serde_json::Value),
    /// A page of HTML with this status, as a proxy in between sends it.
    Html(u16),
    /// The answer ends in the middle of its body.
    HalfBody,
    /// The answer comes so much later.
    Slow(Duration),
    /// The next page is said to be there.
    NextLink(String),
    /// Each page is said to have a further one, at an address of its own.
    Endless,
    /// Of this element of the list (by its name) this field is replaced, by its JSON pointer.
    Field {
        /// The element's name.
        name: String,
        /// Where in it, such as `/properties/instanceView`.
        pointer: &'static str,
        /// What is there instead.
        value: serde_json::Value,
    },
}

/// Faults in waiting, each with the calls that it strikes and how often.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(ArmFault, String, u32)>);

impl Faults {
    pub(super) fn add(&mut self, fault: ArmFault, at: &str, times: u32) {
        self.0.push((fault, at.to_owned(), times));
    }

    /// The first fault for this call, counted as having struck.
    pub(super) fn take(&mut self, call: &str) -> Option<ArmFault> {
        let at = self.0.iter().position(|(_, part, _)| call.contains(part.as_str()))?;
        let (fault, _, times) = self.0.get_mut(at)?;
        let fault = fault.clone();
        *times = times.saturating_sub(1);
        if *times == 0 {
            self.0.remove(at);
        }
        Some(fault)
    }
}
