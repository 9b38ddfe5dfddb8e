//! Which of a backend's lines do the same in a `defaults` section that the backend is made of.
//!
//! Conservative: what is left out only costs a reload when such a backend is added. Left out is what HAProxy refuses in
//! `defaults` or does not hand on from there (configuration manual 4.1; `proxy_defproxy_cpy` in its `src/proxy.c`), what
//! names something else in the file (ACLs, tables, servers, users), and what was not tried.

use super::allowed::is_one_of;

const OPTION: &[&str] = &[
    "abortonclose",
    "allbackups",
    "checkcache",
    "forwardfor",
    "http-buffer-request",
    "http-keep-alive",
    "http-no-delay",
    "http-pretend-keepalive",
    "http-restrict-req-hdr-names",
    "http-server-close",
    "httpchk",
    "httpclose",
    "independent-streams",
    "ldap-check",
    "log-health-checks",
    "mysql-check",
    "nolinger",
    "originalto",
    "pgsql-check",
    "prefer-last-server",
    "redis-check",
    "redispatch",
    "smtpchk",
    "splice-auto",
    "splice-request",
    "splice-response",
    "srvtcpka",
    "ssl-hello-chk",
    "tcp-check",
    "tcp-smart-connect",
    "tcpka",
];
const TIMEOUT: &[&str] = &[
    "check",
    "connect",
    "http-keep-alive",
    "http-request",
    "queue",
    "server",
    "server-fin",
    "tarpit",
    "tunnel",
];
const REQUEST: &[&str] = &[
    "add-header",
    "allow",
    "del-header",
    "deny",
    "disable-l7-retry",
    "redirect",
    "replace-header",
    "replace-path",
    "replace-pathq",
    "replace-uri",
    "replace-value",
    "return",
    "set-header",
    "set-method",
    "set-path",
    "set-pathq",
    "set-query",
    "set-timeout",
    "set-uri",
    "set-var",
    "set-var-fmt",
    "unset-var",
];
const RESPONSE: &[&str] = &[
    "add-header",
    "allow",
    "del-header",
    "deny",
    "redirect",
    "replace-header",
    "replace-value",
    "return",
    "set-header",
    "set-status",
    "set-var",
    "set-var-fmt",
    "unset-var",
];
const CHECK: &[&str] =
    &["comment", "disable-on-404", "expect", "send", "send-binary", "send-state", "set-var", "unset-var"];

/// How the names of samples begin that look up a proxy, a server, a table or a user.
const LOOKS_UP: [&str; 14] = [
    "avg_queue",
    "be_",
    "connslots",
    "fe_",
    "http_auth",
    "in_table",
    "nbsrv",
    "queue",
    "sc0_",
    "sc1_",
    "sc2_",
    "sc_",
    "srv_",
    "table_",
];

/// Takes the words of a line that may stand in a backend.
pub(super) fn is_inherited(words: &[String]) -> bool {
    let mut rest = words.iter().map(String::as_str);
    let list = match rest.next().unwrap_or_default() {
        "option" => OPTION,
        "timeout" => TIMEOUT,
        "http-request" => REQUEST,
        "http-response" | "http-after-response" => RESPONSE,
        "http-check" | "tcp-check" => CHECK,
        "fullconn"
        | "hash-balance-factor"
        | "http-reuse"
        | "max-keep-alive-queue"
        | "retries"
        | "retry-on"
        | "srvtcpka-cnt"
        | "srvtcpka-idle"
        | "srvtcpka-intvl" => return true,
        _ => return false,
    };
    rest.next().is_some_and(|second| is_one_of(second, list)) && names_no_acl(words) && !rest.any(looks_up)
}

/// Whether all conditions stand between braces: a `defaults` section has no ACLs.
fn names_no_acl(words: &[String]) -> bool {
    let mut inside = false;
    words.iter().skip_while(|word| !matches!(word.as_str(), "if" | "unless")).skip(1).all(|word| {
        match word.as_str() {
            "{" | "!{" => inside = true,
            "}" => inside = false,
            "!" | "or" | "||" => {}
            _ => return inside,
        }
        true
    })
}

/// Looks at every name, wherever it stands: that a word of another meaning is mistaken for one does no harm.
fn looks_up(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|name| {
        let of_client = name.starts_with("src_") && !matches!(name, "src_is_local" | "src_port");
        of_client || LOOKS_UP.iter().any(|begin| name.starts_with(begin))
    })
}
