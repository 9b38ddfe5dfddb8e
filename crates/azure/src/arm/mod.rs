//! ARM's lists, page by page, each complete or an error. No list is read without end.

mod answer;
mod list;
pub(crate) mod wire;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::list::List;
use self::wire::{Element, Read};
use crate::cloud::{Cloud, NoPage};
use crate::error::{Error, Why};
use crate::fleet::{Keeper, Pages};
use crate::http::{Again, Http, Spent};
use crate::settings::Subscription;

/// Pages of one list. A page has fifty machines and more.
const MOST_PAGES: usize = 2_000;
/// Bytes of all lists of one listing. A machine with its state and its interface has about ten thousand.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// The longest that one listing may take.
const LONGEST: Duration = Duration::from_secs(600);

/// What all calls of a listing have in common.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) token: &'a SecretString,
    pub(crate) spent: &'a Spent,
    pub(crate) keeper: &'a Mutex<Keeper<'a>>,
}

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

    /// What is kept of all elements of a list, page by page.
    pub(crate) async fn all<T: Element>(&self, list: &List, call: Call<'_>) -> Result<Pages<T::Kept>, Error> {
        self.pages::<T>(list, call)
            .await
            .map_err(|why| Error::Arm { at: list.call(&self.subscription), why: Box::new(why) })
    }

    async fn pages<T: Element>(&self, list: &List, call: Call<'_>) -> Result<Pages<T::Kept>, Why> {
        let Call { token, spent, keeper } = call;
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        let mut next = Some(list.url(self.cloud.arm(), &self.subscription));
        while let Some(url) = next {
            let page = self.page::<T>(list, &url, token, spent).await?;
            pages.push(keep(page.value, keeper));
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
        Ok(pages)
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

fn keep<T: Element>(elements: Vec<Read<T>>, keeper: &Mutex<Keeper<'_>>) -> Vec<Read<T::Kept>> {
    let mut keeper = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    elements.into_iter().map(|element| element.keep(&mut keeper)).collect()
}
