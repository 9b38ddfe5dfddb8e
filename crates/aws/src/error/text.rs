//! Texts of errors, each for one line.

use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use super::Why;

/// Characters of AWS's own words that are shown.
const SHOWN: usize = 300;
/// Characters of a chain of causes that are shown, half of its begin and half of its end.
const SHOWN_LONG: usize = 700;

pub(super) fn how_far(off: Option<SignedDuration>) -> String {
    let Some(off) = off else { return "wrong".to_owned() };
    let side = if off.is_negative() { "behind" } else { "ahead of" };
    let minutes = off.abs().as_mins();
    let much = match minutes {
        ..180 => format!("{minutes} min"),
        180..2880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    };
    format!("{much} {side} AWS's")
}

/// The principal, where that may be what is wrong.
pub(super) fn whose(why: &Why, principal: Option<&str>) -> String {
    principal
        .filter(|_| why.is_of_principal())
        .map_or_else(String::new, |principal| format!(", asked as {principal}"))
}

/// A text of AWS's for one line.
pub(crate) fn shown(text: &str) -> String {
    line(text).take(SHOWN).collect::<String>().trim().to_owned()
}

/// A chain of causes for one line. The true cause is the last one, so what is left out is in the middle.
pub(crate) fn shown_long(text: &str) -> String {
    let all: Vec<char> = line(text).collect();
    if all.len() <= SHOWN_LONG {
        return all.into_iter().collect::<String>().trim().to_owned();
    }
    let half = SHOWN_LONG / 2;
    let begin: String = all.iter().take(half).collect();
    let end: String = all.iter().skip(all.len() - half).collect();
    format!("{} … {}", begin.trim(), end.trim())
}

fn line(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|char| if char.is_control() { ' ' } else { char })
}

pub(crate) fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

pub(super) fn seconds(limit: Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}
