//! Machines of AWS.

use roster_core::fleet::TagRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{Discover, Poll, TagValues, rules, timeout};
use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::Duration;

/// EC2 instances of one region that run and have the tags of a service, and members of Auto Scaling groups. Credentials come
/// the way that AWS's own programs find them: environment, shared files, web identity, ECS, the instance's role.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AwsSource {
    /// The region, such as `us-east-2`.
    #[schemars(with = "format::AwsRegion")]
    pub region: String,
    /// The profile of the shared files to take credentials from, and from nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub profile: Option<String>,
    /// What the account is called in the log. It does nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub account: Option<String>,
    /// Where EC2 and Auto Scaling answer instead of AWS, as an emulator or a proxy does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HttpUrl>")]
    pub endpoint: Option<String>,
    /// How machines are found.
    #[serde(default)]
    pub discover: Discover,
    /// Tags that a machine must have, all of them, each with one of the values.
    #[serde(default, skip_serializing_if = "TagValues::is_empty")]
    pub allow: TagValues,
    /// Tags of which a machine may have none with one of the values.
    #[serde(default, skip_serializing_if = "TagValues::is_empty")]
    pub deny: TagValues,
    /// How often AWS is asked.
    #[serde(default)]
    pub poll: Poll,
    /// How long one call may take.
    #[serde(default = "timeout")]
    pub timeout: Duration,
}

impl AwsSource {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Self {
        self.poll.resolve(cx, &at.join("poll"));
        cx.not_zero(&at.join("timeout"), self.timeout);
        self.clone()
    }

    /// Which machines are instances, and of what.
    pub fn rules(&self) -> TagRules {
        rules(&self.discover, &self.allow, &self.deny)
    }
}
