//! HAProxy's CLI as the API uses it: one connection a command, severity numbers before the answers.
//!
//! The master of HAProxy 2.6 does not know `set severity-output` and puts its help before each answer. That is not
//! imitated here, it happens: the error is then not seen, as with the real API.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Version;

/// The real client gives up after this time too.
const CAP: Duration = Duration::from_secs(30);

/// Which socket the API sends runtime commands to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RuntimeSocket {
    /// A stats socket of level admin.
    Stats(PathBuf),
    /// The master's CLI; commands go to worker 1.
    Master(PathBuf),
}

/// Sends commands one at a time, as the API's own client does.
#[derive(Debug)]
pub(super) struct Runtime {
    socket: RuntimeSocket,
    turn: Mutex<u64>,
}

/// One server in `show servers state`.
#[derive(Debug)]
pub(super) struct LiveServer {
    pub(super) name: String,
    pub(super) object: Value,
    /// What only 3.3 shows besides.
    more: Map<String, Value>,
}

impl LiveServer {
    /// Its object, as a version of the API shows it.
    pub(super) fn shown(self, version: Version) -> Value {
        let mut object = self.object;
        if let (Version::V3_3, Some(object)) = (version, object.as_object_mut()) {
            object.extend(self.more);
        }
        object
    }
}

impl Runtime {
    pub(super) fn new(socket: RuntimeSocket) -> Self {
        Self { socket, turn: Mutex::new(0) }
    }

    pub(super) fn path(&self) -> &PathBuf {
        match &self.socket {
            RuntimeSocket::Stats(path) | RuntimeSocket::Master(path) => path,
        }
    }

    /// How many commands were sent.
    pub(super) fn sent(&self) -> u64 {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a command; the error is worded as the API does, with the socket before it.
    pub(super) fn execute(&self, command: &str) -> Result<(), String> {
        self.ask(command).map(drop)
    }

    /// Sends a command and returns its answer without the severity check's help.
    pub(super) fn ask(&self, command: &str) -> Result<String, String> {
        let socket = self.path().display();
        let answer = self.exchange(command).map_err(|why| format!("{socket} {why} [{command}]"))?;
        match answer.split_once("]:") {
            Some((severity @ ("[0" | "[1" | "[2" | "[3"), text)) => {
                Err(format!("{socket} {severity}] {text} [{command}]"))
            }
            _ => Ok(answer),
        }
    }

    /// A request that the API refuses itself.
    pub(super) fn bad_request(&self) -> String {
        format!("{} bad request", self.path().display())
    }

    fn exchange(&self, command: &str) -> Result<String, String> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        *turn += 1;
        let path = self.path();
        let mut stream = UnixStream::connect(path).map_err(|error| {
            let why = match error.kind() {
                ErrorKind::ConnectionRefused => "connection refused".to_owned(),
                ErrorKind::NotFound => "no such file or directory".to_owned(),
                _ => error.to_string(),
            };
            format!("dial unix {}: connect: {why}", path.display())
        })?;
        let line = match self.socket {
            RuntimeSocket::Stats(_) => format!("set severity-output number;{command}\n"),
            RuntimeSocket::Master(_) => format!("set severity-output number;@1 {command};quit\n"),
        };
        let talk = |stream: &mut UnixStream| {
            stream.set_read_timeout(Some(CAP))?;
            stream.write_all(line.as_bytes())?;
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Ok(_) => {}
                // What came before a reset counts.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
            Ok(String::from_utf8_lossy(&answer).trim().to_owned())
        };
        talk(&mut stream).map_err(|error| error.to_string())
    }

    /// The servers of a backend. An answer of another form (2.6 behind its master) has none.
    pub(super) fn servers(&self, backend: &str) -> Result<Vec<LiveServer>, String> {
        let answer = self.ask(&format!("show servers state {backend}"))?;
        if answer.lines().next().map(str::trim) != Some("1") {
            return Err("unsupported output format version, supporting format version 1".to_owned());
        }
        let rows = answer.lines().filter(|line| !line.starts_with('#')).filter_map(live_server);
        Ok(rows.collect())
    }

    pub(super) fn set_addr(&self, at: &str, address: &str, port: Option<i64>) -> Result<(), String> {
        let mut command = format!("set server {at} addr {address}");
        if let Some(port) = port.filter(|port| *port > 0) {
            // Writing to a string cannot fail.
            write!(command, " port {port}").ok();
        }
        self.execute(&command)
    }

    pub(super) fn set_weight(&self, at: &str, weight: &str) -> Result<(), String> {
        let (number, most) = match weight.strip_suffix('%') {
            Some(percent) => (percent, 100),
            None => (weight, 256),
        };
        if !number.parse::<i64>().is_ok_and(|number| (0..=most).contains(&number)) {
            return Err(self.bad_request());
        }
        self.execute(&format!("set server {at} weight {weight}"))
    }

    pub(super) fn set_state(&self, at: &str, state: &str) -> Result<(), String> {
        if !matches!(state, "ready" | "drain" | "maint") {
            return Err(self.bad_request());
        }
        self.execute(&format!("set server {at} state {state}"))
    }

    pub(super) fn set_check_port(&self, at: &str, port: i64) -> Result<(), String> {
        if !(1..=65535).contains(&port) {
            return Err(self.bad_request());
        }
        self.execute(&format!("set server {at} check-port {port}"))
    }
}

fn live_server(line: &str) -> Option<LiveServer> {
    let fields: Vec<&str> = line.split(' ').collect();
    let field = |at: usize| fields.get(at).copied();
    // The real API reads HAProxy's decimal number as hexadecimal: a former `disabled` slot in drain (12) reads "maint".
    let admin = u32::from_str_radix(field(6)?, 16).ok()?;
    let operational = match field(5)? {
        "0" => "down",
        "3" => "stopping",
        _ => "up",
    };
    let mut object = json!({
        "id": field(2)?, "name": field(3)?, "address": field(4)?,
        "admin_state": admin_state(admin), "operational_state": operational,
    });
    if let (Some(object), Ok(port)) = (object.as_object_mut(), field(18)?.parse::<i64>()) {
        object.insert("port".to_owned(), json!(port));
    }
    let number = |(name, at): (&str, usize)| Some((name.to_owned(), json!(field(at)?.parse::<i64>().ok()?)));
    let more = [
        ("weight", 7),
        ("uweight", 7),
        ("iweight", 8),
        ("check_status", 10),
        ("check_result", 11),
        ("check_health", 12),
        ("check_state", 13),
    ];
    let more = more.into_iter().filter_map(number).collect();
    Some(LiveServer { name: field(3)?.to_owned(), object, more })
}

/// `srv_admin_state` in the API's three words (management manual, 9.3: `show servers state`).
fn admin_state(bits: u32) -> &'static str {
    if bits & 0x23 != 0 {
        "maint"
    } else if bits & 0x18 != 0 {
        "drain"
    } else {
        "ready"
    }
}
