//! How long what a source said last is believed over a restart of Roster.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Duration;

/// What a source said last is kept in the state folder and stands for it while it does not answer after a start.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LastGood {
    /// The oldest answer that is believed at a start. Without it any age is: an old list is better than none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}
