//! Whatever a registry says, the file has the sections and lines that were asked for and no others.

use proptest::prelude::*;

use super::documents::{all, backend, document, path, server};
use super::*;
use crate::keywords::{CaFile, HostName};
use crate::name::{BackendName, CookieValue, ServerName};
use crate::render::*;

const SECTIONS: &[&str] = &["global", "defaults", "frontend", "backend", "listen"];

/// Text as an attacker would write it: a good beginning, then what ends a word, a line or a section.
fn hostile() -> impl Strategy<Value = String> {
    let evil = prop::sample::select(vec![
        "\n",
        "\r",
        "\r\n",
        "\0",
        " ",
        "\t",
        "#",
        "\"",
        "'",
        "\\",
        "\\\n",
        "$",
        "${HOME}",
        ";",
        "%[env(HOME)]",
        "%[path]",
        "}",
        "(",
        ")",
        ",",
        "\nbackend evil\n",
        "\n.if true\n",
        "\u{2028}",
        "\u{85}",
        "é",
        "\u{b}",
    ]);
    let good = "[A-Za-z0-9/._:@+?=&-]{0,12}";
    (good, prop::collection::vec((evil, good), 0..4))
        .prop_map(|(begin, rest)| rest.into_iter().fold(begin, |text, (evil, good)| text + evil + &good))
}

fn line() -> impl Strategy<Value = String> {
    let first = prop::sample::select(vec![
        "option httpchk GET",
        "acl a path",
        "http-request set-header X",
        "timeout server",
    ]);
    (first, hostile()).prop_map(|(first, rest)| format!("{first} {rest}"))
}

/// A document with everything of the text that the constructors let through.
fn of(texts: &[String], lines: &[String]) -> Document {
    let mut sections = Vec::new();
    let mut routing = Routing { hosts: path(FOLDER, "h"), paths: path(FOLDER, "p"), routes: Vec::new() };
    let mut crt_lists = Vec::new();
    for text in texts {
        let name = BackendName::new(text).unwrap_or_else(|_| documents::backend_name("fine"));
        let mut backend = Backend { name, ..backend("x", Vec::new()) };
        backend.pool.cookie = FieldName::new(text).ok();
        backend.strip_prefix = PathPrefix::new(text).ok();
        backend.pool.balance = FieldName::new(text).map_or(Balance::Uri, Balance::Header);
        backend.pool.check = RequestPath::new(text).ok().map(|path| HttpCheck {
            method: CheckMethod::Get,
            path,
            host: HostName::new(text).ok(),
            expect: None,
        });
        backend.lines = lines.iter().filter_map(|line| RawLine::new(Place::Backend, line).ok()).collect();
        if let Ok(name) = ServerName::new(text) {
            let mut server = ServerLine { name, ..server(1, "10.0.0.1:80") };
            server.keywords.cookie = CookieValue::new(text).ok();
            backend.pool.servers.push(server);
        }
        let host = HostName::new(text).ok();
        let prefix = PathPrefix::new(text).ok();
        let keys = [host.clone().map(RouteKey::Host), prefix.clone().map(RouteKey::Path)];
        let both = host.zip(prefix).map(|(host, path)| RouteKey::HostAndPath(host, path));
        let of = keys.into_iter().flatten().chain(both);
        routing.routes.extend(of.map(|of| Route { of, to: backend.name.clone() }));
        crt_lists.extend(FilePath::new(text).ok().map(|path| CrtList { path, entries: Vec::new() }));
        sections.push(Section::Backend(backend));
    }
    let binds = texts.iter().filter_map(|text| text.parse().ok()).map(Bind::plain).collect();
    let name = texts.iter().find_map(|text| FrontendName::new(text).ok());
    sections.push(Section::Frontend(Frontend {
        name: name.unwrap_or_else(|| FrontendName::new("in").unwrap()),
        mode: Mode::Http,
        binds,
        lines: lines.iter().filter_map(|line| RawLine::new(Place::Frontend, line).ok()).collect(),
        routing: Some(routing),
        default_backend: None,
    }));
    crt_lists.sort_by(|a, b| a.path.cmp(&b.path));
    crt_lists.dedup();
    Document { crt_lists, ..document(FOLDER, sections) }
}

proptest! {
    #[test]
    fn no_text_adds_a_line_or_a_section(
        texts in prop::collection::vec(hostile(), 0..6),
        lines in prop::collection::vec(line(), 0..6),
    ) {
        let document = of(&texts, &lines);
        let rendered = render(&document, V3_0).unwrap();
        let begins = |line: &&str| SECTIONS.iter().any(|word| line.starts_with(word));
        let left_out = rendered.left_out.iter().filter(|left| matches!(left, LeftOut::Section(_))).count();
        let sections = rendered.config.lines().filter(begins).count();
        prop_assert_eq!(sections, 2 + document.sections.len() - left_out);
        for line in rendered.config.lines().filter(|line| !begins(line)) {
            prop_assert!(line.is_empty() || line.starts_with('#') || line.starts_with("    "), "{:?}", line);
        }
        let raw = |line: &&str| ["option httpchk GET", "acl a ", "timeout server"].iter().any(|w| line.trim().starts_with(w));
        let asked = document.sections.iter().map(|section| match section {
            Section::Frontend(front) => front.lines.len(),
            Section::Backend(back) => back.lines.len(),
            Section::Listen(_) => 0,
        }).sum::<usize>();
        prop_assert!(rendered.config.lines().filter(raw).count() <= asked + 3);
        let breaks = rendered.config.contains(['\r', '\0', '\u{b}']);
        prop_assert!(!breaks);
        for file in &rendered.files {
            prop_assert!(file.text.lines().all(|line| line.split(' ').count() == 2), "{}", file.text);
        }
    }

    #[test]
    fn a_value_has_no_character_that_haproxy_reads_as_something_else(text in hostile()) {
        let values = [
            FrontendName::new(&text).ok().map(|v| v.to_string()),
            BindName::new(&text).ok().map(|v| v.to_string()),
            FieldName::new(&text).ok().map(|v| v.to_string()),
            FilePath::new(&text).ok().map(|v| v.to_string()),
            PathPrefix::new(&text).ok().map(|v| v.to_string()),
            RequestPath::new(&text).ok().map(|v| v.to_string()),
            text.parse::<BindAddress>().ok().map(|v| v.to_string()),
            CaFile::new(&text).ok().map(|v| v.as_str().to_owned()),
        ];
        for value in values.into_iter().flatten() {
            prop_assert!(!value.is_empty());
            let special = |c: char| c.is_whitespace() || c.is_control() || "#\"'\\$".contains(c);
            prop_assert!(!value.contains(special), "{value:?}");
        }
    }

    #[test]
    fn equal_documents_give_equal_bytes(order in Just(all(FOLDER)).prop_shuffle()) {
        for (name, document) in order {
            prop_assert!(rendered(&document) == rendered(&document.clone()), "{name}");
        }
    }
}
