//! Machines of AWS.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::fleet::TagRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{Discover, Poll, TagValues, rules, sets, timeout};
use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::Duration;

/// Values of one filter, and filters of one question, without Roster's own (EC2's user guide, "List and filter your resources").
const MOST_VALUES: usize = 200;
const MOST_FILTERS: usize = 48;

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
    /// Filters of EC2's `DescribeInstances`, each with one value or several that will do, such as `vpc-id` or
    /// `tag:environment`, with EC2's wildcards. What they leave out is not even listed. EC2 knows nothing of the tags that an
    /// instance has from its group only.
    #[serde(default, skip_serializing_if = "TagValues::is_empty")]
    pub filters: TagValues,
    /// Which of an instance's private addresses is taken.
    #[serde(default)]
    pub address: AwsAddress,
    /// By what an instance's zone is called.
    #[serde(default)]
    pub zone: AwsZone,
    /// How often AWS is asked.
    #[serde(default)]
    pub poll: Poll,
    /// How long one call may take.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// Tags that exposures choose instances by with `select`.
    #[serde(skip)]
    #[schemars(skip)]
    pub selected_tags: BTreeSet<String>,
}

/// Which of an instance's private addresses is taken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AwsAddress {
    /// The network interface, by the index that it has on the instance; 0 is the primary one.
    pub interface: u16,
    /// The family.
    pub family: AddressFamily,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressFamily {
    /// IPv4, and IPv6 of an instance that has no IPv4.
    #[default]
    Any,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

/// By what an instance's zone is called.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AwsZone {
    /// By its name in this account, such as `us-east-2a`.
    #[default]
    Name,
    /// By its id, which is the same in all accounts, such as `use2-az1`.
    Id,
}

impl AwsSource {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path, selected: &BTreeSet<String>) -> Self {
        self.poll.resolve(cx, &at.join("poll"));
        self.check_filters(cx, &at.join("filters"));
        cx.not_zero(&at.join("timeout"), self.timeout);
        Self { selected_tags: selected.clone(), ..self.clone() }
    }

    /// What EC2 would refuse, and what Roster asks by itself.
    fn check_filters(&self, cx: &mut Resolve<'_>, at: &Path) {
        for (name, values) in &self.filters {
            let count = values.values().count();
            let wrong = match name.as_str() {
                "instance-state-name" | "instance-state-code" => {
                    "Roster lists running instances and no others; remove this filter"
                }
                "" => "a filter has a name, such as `vpc-id`; write one",
                _ if count > MOST_VALUES => "EC2 takes at most 200 values of one filter; write fewer",
                _ => continue,
            };
            cx.problem(&at.join(name), wrong);
        }
        // Two are Roster's own: that an instance runs, and its tag.
        if self.filters.len() > MOST_FILTERS {
            cx.problem(at, "EC2 takes at most 50 filters, two of which are Roster's own; write at most 48");
        }
    }

    /// The filters, each with its values.
    pub fn filters(&self) -> BTreeMap<String, BTreeSet<String>> {
        sets(&self.filters)
    }

    /// Which machines are instances, and of what.
    pub fn rules(&self) -> TagRules {
        rules(&self.discover, &self.allow, &self.deny, &self.selected_tags)
    }
}
