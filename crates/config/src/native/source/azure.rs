//! Machines of Azure.

use std::collections::BTreeSet;

use roster_core::fleet::TagRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{Discover, Poll, TagValues, rules, timeout};
use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::{Duration, OneOrMany};

/// Virtual machines and members of scale sets of one subscription that run and have the tags of a service.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AzureSource {
    /// The subscription's id.
    #[schemars(with = "format::AzureSubscription")]
    pub subscription: String,
    /// The resource group or groups to look into. Without it all of the subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::AzureResourceGroup>>")]
    pub resource_groups: Option<OneOrMany<String>>,
    /// Who asks.
    #[serde(default)]
    pub credential: AzureCredential,
    /// The client id of the managed identity, where a machine has several. Without it `AZURE_CLIENT_ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub client_id: Option<String>,
    /// Which of Azure's clouds.
    #[serde(default)]
    pub cloud: AzureCloud,
    /// Where Azure Resource Manager answers, if not where that cloud has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HttpUrl>")]
    pub endpoint: Option<String>,
    /// Where tokens come from, if neither `AZURE_AUTHORITY_HOST` nor the cloud says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HttpUrl>")]
    pub authority: Option<String>,
    /// How machines are found.
    #[serde(default)]
    pub discover: Discover,
    /// Tags that a machine must have, all of them, each with one of the values.
    #[serde(default, skip_serializing_if = "TagValues::is_empty")]
    pub allow: TagValues,
    /// Tags of which a machine may have none with one of the values.
    #[serde(default, skip_serializing_if = "TagValues::is_empty")]
    pub deny: TagValues,
    /// How often Azure is asked.
    #[serde(default)]
    pub poll: Poll,
    /// How long one call may take.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// Names of tags as exposures spell them that choose instances by `select`. Azure's have no case.
    #[serde(skip)]
    #[schemars(skip)]
    pub selected_tags: BTreeSet<String>,
}

/// Who asks Azure.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AzureCredential {
    /// The first of the others that is there, in their order.
    #[default]
    Default,
    /// A service principal: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    Environment,
    /// A Kubernetes service account: `AZURE_FEDERATED_TOKEN_FILE` instead of the secret.
    WorkloadIdentity,
    /// The identity of the machine or the app that Roster runs on.
    ManagedIdentity,
    /// Whoever has logged in with `az login`.
    Cli,
}

/// Which of Azure's clouds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AzureCloud {
    /// The public one.
    #[default]
    Public,
    /// That of 21Vianet in China.
    China,
    /// That of the government of the United States.
    UsGovernment,
}

impl AzureSource {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path, selected: &BTreeSet<String>) -> Self {
        self.poll.resolve(cx, &at.join("poll"));
        cx.not_zero(&at.join("timeout"), self.timeout);
        Self { selected_tags: selected.clone(), ..self.clone() }
    }

    /// Which machines are instances, and of what.
    pub fn rules(&self) -> TagRules {
        rules(&self.discover, &self.allow, &self.deny, &self.selected_tags)
    }
}
