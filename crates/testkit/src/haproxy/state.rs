//! One server's state, read the way an operator would read it.

use super::{Haproxy, HaproxyError};

/// A row of `show servers state` (management manual, section 9.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerRow {
    /// `srv_name`.
    pub name: String,
    /// `srv_id`.
    pub id: u32,
    /// `srv_addr`; `-` for an empty one.
    pub addr: String,
    /// `srv_port`.
    pub port: u16,
    /// `srv_op_state`: 0 stopped, 1 starting, 2 running, 3 stopping.
    pub op: u8,
    /// `srv_admin_state`, a bit mask: 0x23 is maintenance, 0x18 is drain.
    pub admin: u32,
    /// `srv_uweight`, the effective weight before slow start.
    pub uweight: u32,
    /// `srv_check_result`: 3 passed. Stale after a change of address.
    pub check_result: u32,
}

impl ServerRow {
    /// Whether any kind of maintenance is on.
    pub fn in_maintenance(&self) -> bool {
        self.admin & 0x23 != 0
    }

    /// Whether any kind of drain is on.
    pub fn in_drain(&self) -> bool {
        self.admin & 0x18 != 0
    }

    /// `address:port`, as one writes it.
    pub fn endpoint(&self) -> String {
        if self.addr.contains(':') {
            format!("[{}]:{}", self.addr, self.port)
        } else {
            format!("{}:{}", self.addr, self.port)
        }
    }
}

impl Haproxy {
    /// Every server of a backend, in HAProxy's order.
    pub fn servers(&self, backend: &str) -> Result<Vec<ServerRow>, HaproxyError> {
        Ok(parse_servers_state(&self.cli(&format!("show servers state {backend}"))?))
    }

    /// One server of a backend.
    pub fn server(&self, backend: &str, server: &str) -> Result<ServerRow, HaproxyError> {
        let rows = self.servers(backend)?;
        let known = || rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>().join(", ");
        rows.iter().find(|row| row.name == server).cloned().ok_or_else(|| HaproxyError::NoServer {
            backend: backend.to_owned(),
            server: server.to_owned(),
            known: known(),
        })
    }

    /// One field of `show stat` for a server, or for `FRONTEND` or `BACKEND`; `None` when there is no such row or field.
    pub fn stat(&self, proxy: &str, server: &str, field: &str) -> Result<Option<String>, HaproxyError> {
        let table = self.cli(&format!("show stat {proxy} -1 -1"))?;
        Ok(stat_field(&table, proxy, server, field))
    }
}

/// Reads `show servers state`, or a file dumped from it. Lines that do not fit are left out.
pub fn parse_servers_state(text: &str) -> Vec<ServerRow> {
    let mut header = Vec::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(names) = line.strip_prefix("# ") {
            header = names.split_whitespace().collect();
        } else {
            rows.extend(server_row(&header, line));
        }
    }
    rows
}

fn server_row(header: &[&str], line: &str) -> Option<ServerRow> {
    let values: Vec<&str> = line.split_whitespace().collect();
    let value = |name| values.get(header.iter().position(|known| *known == name)?).copied();
    Some(ServerRow {
        name: value("srv_name")?.to_owned(),
        id: value("srv_id")?.parse().ok()?,
        addr: value("srv_addr")?.to_owned(),
        port: value("srv_port")?.parse().ok()?,
        op: value("srv_op_state")?.parse().ok()?,
        admin: value("srv_admin_state")?.parse().ok()?,
        uweight: value("srv_uweight")?.parse().ok()?,
        check_result: value("srv_check_result")?.parse().ok()?,
    })
}

fn stat_field(table: &str, proxy: &str, server: &str, field: &str) -> Option<String> {
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let at = header.iter().position(|name| *name == field)?;
    lines
        .map(|line| line.split(',').collect::<Vec<_>>())
        .find(|row| row.first() == Some(&proxy) && row.get(1) == Some(&server))
        .and_then(|row| row.get(at).map(|value| (*value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 be 1 srv1 127.0.0.2 2 4 7 1 12 15 3 4 6 0 0 0 - 8080 - 0 0 - - 0
3 be 2 srv2 - 0 5 1 1 12 1 0 0 0 0 0 0 - 0 - 0 0 - - 0
";

    #[test]
    fn a_former_disabled_slot_is_not_in_maintenance() {
        let rows = parse_servers_state(STATE);
        let [first, second] = rows.as_slice() else { unreachable!("{rows:?}") };
        assert_eq!((first.endpoint().as_str(), first.uweight, first.op), ("127.0.0.2:8080", 7, 2));
        assert!(!first.in_maintenance());
        assert!(second.in_maintenance());
    }

    #[test]
    fn a_field_of_show_stat_is_found_by_its_name() {
        let table = "# pxname,svname,qcur,scur\nbe,srv1,0,3\nbe,BACKEND,0,4\n";
        assert_eq!(stat_field(table, "be", "BACKEND", "scur").as_deref(), Some("4"));
        assert_eq!(stat_field(table, "be", "srv9", "scur"), None);
    }
}
