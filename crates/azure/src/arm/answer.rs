//! From an answer to a page, or to the reason why it is none. Pure.

use serde::Deserialize;

use super::List;
use super::wire::{Element, Read};
use crate::error::Why;
use crate::http::Reply;
use crate::settings::Subscription;

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: Element")]
pub(super) struct Page<T> {
    pub(super) value: Vec<Read<T>>,
    #[serde(rename = "nextLink")]
    pub(super) next: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Trouble {
    error: TroubleBody,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TroubleBody {
    code: String,
    message: String,
}

pub(super) fn page<T: Element>(
    reply: &Reply,
    list: &List,
    subscription: &Subscription,
) -> Result<Page<T>, Why> {
    if reply.status == 200 {
        let page: Page<T> = serde_json::from_slice(&reply.body).map_err(|error| Why::NotArm {
            why: format!(
                "its answer is no list in JSON ({}); it begins with {:?}",
                what(&error),
                reply.begins()
            ),
        })?;
        // Some lists end with an empty link instead of none.
        return Ok(Page { next: page.next.filter(|link| !link.is_empty()), ..page });
    }
    let refusal = match serde_json::from_slice::<Trouble>(&reply.body) {
        Ok(Trouble { error }) => reply.refusal(&error.code, &error.message),
        Err(_) => reply.refusal("", &reply.begins()),
    };
    let retry_after = reply.retry_after;
    Err(match (refusal.status, refusal.code.as_str()) {
        (401, _) => Why::Unauthorized(refusal),
        (403, _) => Why::Forbidden { action: list.action(), scope: list.scope(subscription), refusal },
        (404, "SubscriptionNotFound") => Why::NoSubscription(refusal),
        (404, "ResourceGroupNotFound") => match list.group() {
            Some(group) => Why::NoGroup { group: group.as_str().to_owned(), refusal },
            None => Why::NotFound(refusal),
        },
        (404, _) => Why::NotFound(refusal),
        (429, _) => Why::Throttled { retry_after, refusal },
        (500.., _) => Why::Server { retry_after, refusal },
        _ => Why::Refused(refusal),
    })
}

/// What is wrong with an answer, without the place, which differs with each.
fn what(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
