//! One page for people, without anything from elsewhere. Every value in it is escaped.

use std::fmt::{self, Display, Write};

use axum::extract::State;
use axum::response::Html;
use jiff::Timestamp;

use super::live::Window;
use crate::clock;
use crate::commands::print;
use crate::commands::status::age;
use crate::keeper::{BackendStatus, TargetStatus};
use crate::overview::{Overview, SourceStatus};

const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Roster</title><style>\
    body{font:15px/1.5 sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse;margin:1em 0}\
    td,th{border-bottom:1px solid #ccc;padding:.2em .8em;text-align:left;vertical-align:top}\
    .bad{color:#b00020;font-weight:bold}</style><h1>Roster</h1>";

/// A text as HTML shows it.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.to_string().chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            c => f.write_char(c),
        })
    }
}

pub(super) async fn page(State(window): State<Window>) -> Html<String> {
    Html(html(&window.overview(), clock::wall()))
}

fn html(overview: &Overview, now: Timestamp) -> String {
    print::text(|text| {
        text.push_str(HEAD);
        for (name, ended) in &overview.tasks {
            let runs = if ended.runs { "it runs again" } else { "it is started anew soon" };
            write!(text, "<p class=bad>{} ended: {}; {runs}", Escaped(name), Escaped(&ended.cause))?;
        }
        text.push_str("<table><tr><th>source<th>state<th>services<th>instances<th>last new answer");
        for (name, source) in &overview.sources {
            write_source(text, name.as_str(), source, now)?;
        }
        text.push_str("</table>");
        overview.targets.iter().try_for_each(|(name, target)| write_target(text, name.as_str(), target))?;
        write!(
            text,
            "<p>Roster {}. <a href=\"/metrics\">metrics</a>, <a href=\"/readyz?verbose\">readiness</a>, \
             <a href=\"/api/v1/status\">status</a>, <a href=\"/api/v1/plan\">plan</a>",
            env!("CARGO_PKG_VERSION")
        )
    })
}

fn write_source(text: &mut String, name: &str, source: &SourceStatus, now: Timestamp) -> fmt::Result {
    let answer = source.answer.map_or_else(|| "never".into(), |answer| age(answer, now) + " ago");
    let state = if source.up { "up" } else { "<span class=bad>down</span>" };
    let SourceStatus { services, instances, error, .. } = source;
    write!(text, "<tr><td>{}<td>{state}", Escaped(name))?;
    if let Some(error) = error {
        write!(text, " {}", Escaped(error))?;
    }
    write!(text, "<td>{services}<td>{instances}<td>{}", Escaped(answer))
}

fn write_target(text: &mut String, name: &str, target: &TargetStatus) -> fmt::Result {
    write!(text, "<h2>{}</h2>", Escaped(name))?;
    if let Some(process) = target.process {
        write!(text, "<p>{}", Escaped(process))?;
    }
    if let Some(trouble) = &target.trouble {
        write!(text, "<p class=bad>{}", Escaped(trouble))?;
    }
    text.push_str("<table><tr><th>backend<th>service<th>servers<th>to know");
    target.backends.iter().try_for_each(|(backend, status)| write_backend(text, backend.as_str(), status))?;
    text.push_str("</table>");
    Ok(())
}

fn write_backend(text: &mut String, name: &str, status: &BackendStatus) -> fmt::Result {
    write!(text, "<tr><td>{}<td>{}<td>", Escaped(name), Escaped(&status.service))?;
    for (server, standing) in &status.servers {
        write!(text, "{}: {}<br>", Escaped(server), Escaped(&standing.status))?;
    }
    text.push_str("<td>");
    if status.missing {
        text.push_str("<span class=bad>HAProxy has no backend of this name</span><br>");
    }
    if let Some(hold) = &status.hold {
        write!(text, "<span class=bad>held back: {}</span><br>", Escaped(hold))?;
    }
    for (server, refused) in &status.refused {
        write!(text, "<span class=bad>{}: {}</span><br>", Escaped(server), Escaped(refused))?;
    }
    status.notes.iter().try_for_each(|note| write!(text, "{}<br>", Escaped(note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_become_markup() {
        let source = SourceStatus {
            up: false,
            answer: None,
            from_disk: false,
            services: 0,
            instances: 0,
            rejects: Vec::new(),
            error: Some("<script>alert('&')</script>\"".into()),
            lost_since: None,
        };
        let target = TargetStatus { trouble: Some("<img src=x>".into()), ..TargetStatus::default() };
        let overview = Overview {
            sources: [("fleet".parse().unwrap(), source)].into(),
            targets: [("local".parse().unwrap(), target)].into(),
            ..Overview::default()
        };
        let html = html(&overview, Timestamp::UNIX_EPOCH);
        assert!(html.contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;&quot;"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    }
}
