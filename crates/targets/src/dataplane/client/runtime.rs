//! The running HAProxy as the API shows it: its process, its servers, their counters.
//!
//! Nothing here is in HAProxy's file, so a reload loses it. A HAProxy that is down has no servers here instead of being
//! an error, and 2.9 in front of HAProxy 2.6 sees none through `master_runtime`.

use std::time::Duration;

use reqwest::Method;
use roster_haproxy::version::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::error::{ClientError, Why};
use super::object::Server;
use super::settings::ApiVersion;
use super::transport::{Question, Route};
use super::{Client, Versioned, services};

/// A server of the running HAProxy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct RuntimeServer {
    /// Its name.
    pub name: String,
    /// Its address; none for a host name that was never resolved.
    #[serde(default)]
    pub address: String,
    /// Its port.
    pub port: Option<u16>,
    /// What it was set to.
    pub admin_state: AdminState,
    /// How it is.
    pub operational_state: OperationalState,
}

/// What a server was set to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminState {
    /// It serves if it is up.
    Ready,
    /// It gets no new sessions but those that belong to it.
    Drain,
    /// It gets nothing and is not checked.
    Maint,
}

/// How a server is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationalState {
    /// It serves.
    Up,
    /// It does not.
    Down,
    /// It serves those that it has.
    Stopping,
}

/// The process that serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProcessInfo {
    /// The worker's process id.
    pub pid: u32,
    /// HAProxy's version.
    pub version: Version,
    /// For how long it has served.
    pub uptime: Duration,
    /// True if it is ending; unknown where HAProxy does not say.
    pub stopping: Option<bool>,
}

/// What HAProxy counts of a server; the parts of it that tell how it stands.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerStats {
    /// Its name.
    pub name: String,
    /// How it is, as the statistics page says it: `UP`, `UP 1/3`, `DOWN`, `MAINT`, `DRAIN`, `no check`.
    pub status: String,
    /// Its weight in force.
    pub weight: Option<u32>,
    /// The last check, such as `L4OK`; none without checks.
    pub check_status: Option<String>,
    /// What the last check found, in words.
    pub check_desc: Option<String>,
    /// Sessions it has now.
    pub sessions: Option<u64>,
    /// Seconds since it last went up or down.
    pub last_change: Option<u64>,
}

impl Client {
    /// The servers of a backend that run, and the version of the configuration meanwhile.
    pub async fn runtime_servers(&self, backend: &str) -> Result<Versioned<Vec<RuntimeServer>>, ClientError> {
        let question = Question::get(self.running(backend).await?);
        let reply = self.ask(question).await.map_err(not_running)?;
        self.read_versioned(&reply, |answer| {
            Ok(answer.json::<Option<Vec<RuntimeServer>>>()?.unwrap_or_default())
        })
    }

    /// One server that runs.
    pub async fn runtime_server(&self, backend: &str, name: &str) -> Result<RuntimeServer, ClientError> {
        let question = Question::get(self.running(backend).await?.at(name));
        let reply = self.ask(question).await.map_err(not_running)?;
        self.read(&reply, Answer::json)
    }

    /// Sets a server ready, to drain or into maintenance.
    pub async fn set_admin_state(
        &self,
        backend: &str,
        name: &str,
        state: AdminState,
    ) -> Result<RuntimeServer, ClientError> {
        self.set_running(backend, name, &json!({ "admin_state": state })).await
    }

    /// Sets a server up or down. If it is checked, the next check may say otherwise.
    pub async fn set_operational_state(
        &self,
        backend: &str,
        name: &str,
        state: OperationalState,
    ) -> Result<RuntimeServer, ClientError> {
        self.set_running(backend, name, &json!({ "operational_state": state })).await
    }

    /// Adds a server to the running HAProxy, in maintenance. It is not in the file. That it was added is to be read
    /// back: 2.9 in front of HAProxy 2.6 always says yes through `master_runtime`.
    pub async fn add_runtime_server(&self, backend: &str, server: &Server) -> Result<(), ClientError> {
        let fields: Map<String, Value> = server.clone().into();
        let question = Question::new(Method::POST, self.running(backend).await?).json(&Value::Object(fields));
        self.ask(question).await.map_err(not_running)?;
        Ok(())
    }

    /// Deletes a server from the running HAProxy. In the file it stays.
    pub async fn delete_runtime_server(&self, backend: &str, name: &str) -> Result<(), ClientError> {
        let question = Question::new(Method::DELETE, self.running(backend).await?.at(name));
        self.ask(question).await.map_err(not_running)?;
        Ok(())
    }

    /// The process that serves.
    pub async fn process(&self) -> Result<ProcessInfo, ClientError> {
        let api = self.api().await?;
        let reply = self.ask(Question::get(services(api).path("runtime/info"))).await?;
        self.read(&reply, |answer| process(answer, api))
    }

    /// What HAProxy counts of the servers of a backend. HAProxy still has to write all statistics for it: 0.2 to 0.5 s
    /// with 1,000 servers.
    pub async fn server_stats(&self, backend: &str) -> Result<Vec<ServerStats>, ClientError> {
        let api = self.api().await?;
        let route = services(api).path("stats/native").with("type", "server").with("parent", backend);
        let reply = self.ask(Question::get(route)).await?;
        self.read(&reply, |answer| statistics(answer, api, backend))
    }

    async fn running(&self, backend: &str) -> Result<Route, ClientError> {
        let api = self.api().await?;
        let runtime = services(api).at("runtime");
        Ok(match api {
            ApiVersion::V2 => runtime.at("servers").with("backend", backend),
            ApiVersion::V3 => runtime.at("backends").at(backend).at("servers"),
        })
    }

    async fn set_running(
        &self,
        backend: &str,
        name: &str,
        change: &Value,
    ) -> Result<RuntimeServer, ClientError> {
        let route = self.running(backend).await?.at(name);
        let reply = self.ask(Question::new(Method::PUT, route).json(change)).await.map_err(not_running)?;
        self.read(&reply, Answer::json)
    }
}

/// A server that is not found here may well be in the file.
fn not_running(mut error: ClientError) -> ClientError {
    if let Why::NotFound { what } = error.why {
        error.why = Why::NotRunning { what };
    }
    error
}

/// Version 2 answers a list with one entry for each process, version 3 the one entry.
fn entries<T: serde::de::DeserializeOwned>(answer: &Answer, api: ApiVersion) -> Result<Vec<T>, Why> {
    match api {
        ApiVersion::V2 => answer.json(),
        ApiVersion::V3 => answer.json().map(|entry| vec![entry]),
    }
}

fn process(answer: &Answer, api: ApiVersion) -> Result<ProcessInfo, Why> {
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        error: String,
        info: Option<Info>,
    }
    #[derive(Deserialize)]
    struct Info {
        pid: Option<u32>,
        #[serde(default)]
        version: String,
        uptime: Option<u64>,
        stopping: Option<u64>,
    }
    let mut said = String::new();
    for Entry { error, info } in entries(answer, api)? {
        let Some(Info { pid: Some(pid), version, uptime, stopping }) = info else {
            said = error;
            continue;
        };
        let version = version.parse();
        let version = version.map_err(|wrong| Why::Unexpected { what: format!("{wrong}") })?;
        let uptime = Duration::from_secs(uptime.unwrap_or_default());
        return Ok(ProcessInfo { pid, version, uptime, stopping: stopping.map(|stopping| stopping != 0) });
    }
    let what = if said.is_empty() { "the API does not see HAProxy's process".to_owned() } else { said };
    Err(Why::NotRunning { what })
}

fn statistics(answer: &Answer, api: ApiVersion, backend: &str) -> Result<Vec<ServerStats>, Why> {
    #[derive(Deserialize)]
    struct Entry {
        stats: Option<Vec<Row>>,
    }
    #[derive(Deserialize)]
    struct Row {
        #[serde(default)]
        backend_name: String,
        name: String,
        stats: Counters,
    }
    #[derive(Deserialize)]
    struct Counters {
        #[serde(default)]
        status: String,
        weight: Option<u32>,
        check_status: Option<String>,
        check_desc: Option<String>,
        scur: Option<u64>,
        lastchg: Option<u64>,
    }
    let rows = entries::<Entry>(answer, api)?.into_iter().filter_map(|entry| entry.stats).flatten();
    let rows = rows.filter(|row| row.backend_name == backend);
    Ok(rows
        .map(|Row { name, stats, .. }| ServerStats {
            name,
            status: stats.status,
            weight: stats.weight,
            check_status: stats.check_status.filter(|status| !status.is_empty()),
            check_desc: stats.check_desc.filter(|words| !words.is_empty()),
            sessions: stats.scur,
            last_change: stats.lastchg,
        })
        .collect())
}
