//! The Data Plane API: recorded answers of the real ones, a server that fails on purpose, and the stand-in.

mod client;
mod faults;
mod recorded;
mod scripted;
mod secrets;
mod target;
mod tls;

use std::time::Duration;

use roster_targets::dataplane::client::{Client, ClientError, Settings, Tls, VersionChoice, Why};
use roster_testkit::OrFail;

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(20);
const USER: &str = "admin";
const PASSWORD: &str = "hunter2+very/secret";

fn settings(url: &str, version: VersionChoice) -> Settings {
    Settings {
        url: url.parse().or_fail(),
        version,
        username: USER.to_owned(),
        password: PASSWORD.into(),
        tls: Tls::default(),
        timeout: CAP,
    }
}

fn client(url: &str, version: VersionChoice) -> Client {
    Client::new(settings(url, version)).or_fail()
}

/// Why the call failed. It has to.
#[track_caller]
fn why<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Why {
    result.unwrap_err().why
}
