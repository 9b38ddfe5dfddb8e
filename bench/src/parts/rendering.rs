//! What writing HAProxy's file costs, as text: no disk.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::Instant;

use anyhow::Context;
use roster_core::exposure::Layout;
use roster_core::layout::sections;
use roster_haproxy::address::{Endpoint, Port};
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::render::{Document, FilePath, Ours, ServerLine, UserText, render};
use roster_haproxy::version::Version;
use roster_haproxy::weight::ServerId;

use crate::report::Row;
use crate::sample::Sample;

const BACKENDS: u32 = 1_000;
const SERVERS: u32 = 20;
/// What it may take, in milliseconds.
const WITHIN: f64 = 30.0;

/// Renders a file of many backends.
pub(crate) fn measure(runs: usize) -> anyhow::Result<Row> {
    let document = document()?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let begun = Instant::now();
        let rendered = black_box(render(&document, Version::OLDEST));
        times.push(begun.elapsed());
        let lines =
            rendered.map_err(|errors| anyhow::anyhow!("{errors:?}"))?.config.matches("    server ").count();
        anyhow::ensure!(lines == 20_000, "{lines} servers in the file");
    }
    let times = Sample::times(times);
    let reached = times.median() <= WITHIN;
    let row =
        Row::new(format!("HAProxy's file with {BACKENDS} backends of {SERVERS} servers, as text"), times);
    Ok(row.against(format!("≤ {WITHIN} ms"), reached))
}

fn document() -> anyhow::Result<Document> {
    let mut all = Vec::new();
    for number in 0..BACKENDS {
        let backend = BackendName::new(&format!("svc-{number:04}"))?;
        let servers: Vec<ServerLine> = (1..=SERVERS).map(server).collect::<anyhow::Result<_>>()?;
        all.extend(sections(&backend, &Layout::default(), servers));
    }
    let ours = Ours {
        stats_socket: FilePath::new("/run/roster/own/admin.sock")?,
        expose_listeners: true,
        hard_stop_after: None,
        state_file: Some(FilePath::new("/run/roster/own/server-state")?),
    };
    Ok(Document {
        user: UserText::default(),
        ours,
        sections: all,
        crt_lists: Vec::new(),
        profiles: Vec::new(),
        left_out: Vec::new(),
    })
}

fn server(number: u32) -> anyhow::Result<ServerLine> {
    let last = u8::try_from(number)?;
    Ok(ServerLine {
        name: ServerName::new(&format!("srv{number}"))?,
        at: Endpoint { ip: IpAddr::from([127, 0, 0, last]), port: Port::new(8_080).context("a port")? },
        keywords: ServerKeywords { id: ServerId::new(number), ..ServerKeywords::default() },
        weight: None,
        disabled: false,
    })
}
