//! ARM's lists, page by page, each complete or an error.

mod answer;
mod list;
pub(crate) mod wire;

use std::collections::HashSet;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

pub(crate) use self::list::List;
use crate::cloud::Cloud;
use crate::error::{Error, Why};
use crate::http::{Http, Waited, passes};
use crate::settings::Subscription;

/// More pages than any subscription has machines for.
const MOST_PAGES: usize = 10_000;

/// One ARM, and the subscription that is asked about.
pub(crate) struct Arm {
    http: Http,
    endpoint: Url,
    subscription: Subscription,
}

impl Arm {
    pub(crate) fn new(http: Http, cloud: &Cloud, subscription: Subscription) -> Self {
        Self { http, endpoint: cloud.arm().clone(), subscription }
    }

    /// All elements of a list, as they came.
    pub(crate) async fn all(
        &self,
        list: &List,
        token: &SecretString,
        waited: &Waited,
    ) -> Result<Vec<Value>, Error> {
        let mut elements = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(list.url(&self.endpoint, &self.subscription));
        while let Some(url) = next {
            let page = self.page(list, url, token, waited).await;
            let page = page.map_err(|why| Error::Arm { at: list.call(&self.subscription), why })?;
            elements.extend(page.value);
            next = match page.next {
                Some(link) => Some(
                    self.follow(&link)
                        .map_err(|why| Error::Arm { at: list.call(&self.subscription), why })?,
                ),
                None => None,
            };
            if let Some(url) = &next
                && (!seen.insert(url.clone()) || seen.len() > MOST_PAGES)
            {
                let why = Why::Endless { pages: seen.len() };
                return Err(Error::Arm { at: list.call(&self.subscription), why });
            }
        }
        Ok(elements)
    }

    async fn page(
        &self,
        list: &List,
        url: Url,
        token: &SecretString,
        waited: &Waited,
    ) -> Result<answer::Page, Why> {
        let request = self.http.client().get(url).bearer_auth(token.expose_secret());
        let reply = self.http.ask(list.api(), &request, waited, passes).await?;
        answer::page(&reply, list, &self.subscription)
    }

    /// The next page's address, as ARM gives it, if it is ARM's own: the token goes along.
    fn follow(&self, link: &str) -> Result<Url, Why> {
        let not_arm = |error| Why::NotArm { why: format!("the next page has no address ({error})") };
        let url = Url::parse(link).map_err(not_arm)?;
        if url.origin() == self.endpoint.origin() && url.username().is_empty() && url.password().is_none() {
            Ok(url)
        } else {
            Err(Why::ForeignLink { link_origin: url.origin().ascii_serialization() })
        }
    }
}
