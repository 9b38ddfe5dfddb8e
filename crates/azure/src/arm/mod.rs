//! ARM's lists, page by page, each complete or an error. No list is read without end.

mod answer;
mod list;
pub(crate) mod wire;

use std::collections::HashSet;
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::list::List;
use self::wire::{Element, Read};
use crate::cloud::{Cloud, NoPage};
use crate::error::{Error, Why};
use crate::http::{Again, Http, Spent};
use crate::settings::Subscription;

/// Pages of one list. A page has fifty machines and more.
const MOST_PAGES: usize = 2_000;
/// Bytes of all lists of one listing. A machine with its state and its interface has about ten thousand.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// The longest that one listing may take.
const LONGEST: Duration = Duration::from_secs(600);

/// One ARM, and the subscription that is asked about.
pub(crate) struct Arm {
    http: Http,
    cloud: Cloud,
    subscription: Subscription,
}

impl Arm {
    pub(crate) fn new(http: Http, cloud: Cloud, subscription: Subscription) -> Self {
        Self { http, cloud, subscription }
    }

    /// All elements of a list.
    pub(crate) async fn all<T: Element>(
        &self,
        list: &List,
        token: &SecretString,
        spent: &Spent,
    ) -> Result<Vec<Read<T>>, Error> {
        self.pages(list, token, spent)
            .await
            .map_err(|why| Error::Arm { at: list.call(&self.subscription), why: Box::new(why) })
    }

    async fn pages<T: Element>(
        &self,
        list: &List,
        token: &SecretString,
        spent: &Spent,
    ) -> Result<Vec<Read<T>>, Why> {
        let mut elements = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(list.url(self.cloud.arm(), &self.subscription));
        while let Some(url) = next {
            let page = self.page(list, &url, token, spent).await?;
            elements.extend(page.value);
            next = page.next.map(|link| self.follow(&url, &link)).transpose()?;
            if let Some(next) = &next {
                if !seen.insert(next.clone()) || seen.len() >= MOST_PAGES {
                    return Err(Why::Endless { pages: seen.len() });
                }
                if spent.time() > LONGEST {
                    return Err(Why::TooLong { after: LONGEST });
                }
            }
        }
        Ok(elements)
    }

    async fn page<T: Element>(
        &self,
        list: &List,
        url: &Url,
        token: &SecretString,
        spent: &Spent,
    ) -> Result<answer::Page<T>, Why> {
        let request = self.http.get(url.clone()).bearer_auth(token.expose_secret());
        let reply = self.http.ask(list.api(), request, spent, Again::passing()).await?;
        if spent.read(reply.body.len()) > MOST_BYTES {
            return Err(Why::TooMuch { limit: MOST_BYTES });
        }
        answer::page(&reply, list, &self.subscription)
    }

    fn follow(&self, page: &Url, link: &str) -> Result<Url, Why> {
        self.cloud.next_page(page, link).map_err(|no| match no {
            NoPage::NoAddress(error) => {
                Why::NotArm { why: format!("the next page has no address ({error})") }
            }
            NoPage::Foreign(link_origin) => Why::ForeignLink { link_origin },
        })
    }
}
