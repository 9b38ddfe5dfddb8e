//! The `azure` section: whose machines, and who asks.

use super::read::{Reader, Section};
use super::value::Words;
use crate::native::AzureCredential;
use crate::position::Position;

const KEYS: [&str; 3] = ["subscription_id", "resource_groups", "credential_type"];
/// Where Azure Resource Manager answers, if not where the public cloud has it. The original has no key for it.
const ENDPOINT: &str = "ROSTER_AZURE_ENDPOINT";
/// Stands in the place of what is no subscription while the rest of the file is checked.
const NO_SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";

#[derive(Clone, Debug)]
pub(super) struct Azure {
    pub(super) subscription: Words,
    pub(super) resource_groups: Vec<Words>,
    pub(super) credential: AzureCredential,
    pub(super) endpoint: Option<Words>,
    at: Position,
}

impl Azure {
    pub(super) fn read(cx: &mut Reader<'_>, root: &Section<'_>) -> Self {
        let section = root.section(cx, "azure", &KEYS);
        let subscription = section.text(cx, "subscription_id", "");
        let given = section.text(cx, "credential_type", "default");
        let credential = credential(&given.value()).unwrap_or_else(|| {
            let shown: String = given.value().chars().take(64).collect();
            let found =
                if given.is_from_env() { "what its variable holds".to_owned() } else { format!("{shown:?}") };
            let message = format!(
                "`azure.credential_type`: {found} is no way to get tokens, so `default` is taken; there are default, \
                 environment, workload_identity, managed_identity and cli"
            );
            cx.warn(section.at("credential_type"), message);
            AzureCredential::Default
        });
        let azure = Self {
            subscription,
            resource_groups: section.texts(cx, "resource_groups"),
            credential,
            endpoint: cx.variable(ENDPOINT),
            at: section.at("subscription_id"),
        };
        if let Some((at, message)) = azure.no_subscription() {
            cx.warn(at, message);
        }
        azure
    }

    /// What is wrong with the subscription, and where. The original takes any text, and Azure refuses all others.
    pub(super) fn no_subscription(&self) -> Option<(Position, &'static str)> {
        let given = self.subscription.value();
        let dash = |at: usize| [8, 13, 18, 23].contains(&at);
        let fits = given.len() == 36
            && given
                .chars()
                .enumerate()
                .all(|(at, c)| if dash(at) { c == '-' } else { c.is_ascii_hexdigit() });
        let message = "`azure.subscription_id` is no subscription's id, so Azure has no machines for it; write one such as \
                       00000000-1111-2222-3333-444444444444";
        (!fits && !given.is_empty()).then_some((self.at, message))
    }

    /// The same with what looks like a subscription.
    pub(super) fn with_a_subscription(&self) -> Self {
        match self.no_subscription() {
            Some(_) => Self { subscription: Words::plain(NO_SUBSCRIPTION), ..self.clone() },
            None => self.clone(),
        }
    }
}

/// Takes Roster's names and those of Azure's own libraries, however they are joined: `managed-identity` and
/// `ManagedIdentityCredential` are one.
fn credential(given: &str) -> Option<AzureCredential> {
    let word = given.trim().to_ascii_lowercase().replace(['_', '-', ' '], "");
    match word.strip_suffix("credential").unwrap_or(&word) {
        "default" | "defaultazure" => Some(AzureCredential::Default),
        "environment" | "env" => Some(AzureCredential::Environment),
        "workloadidentity" => Some(AzureCredential::WorkloadIdentity),
        "managedidentity" | "msi" => Some(AzureCredential::ManagedIdentity),
        "cli" | "azurecli" | "az" => Some(AzureCredential::Cli),
        _ => None,
    }
}
