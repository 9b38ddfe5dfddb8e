//! The order into which the API puts sections, and lines inside a section, whenever it writes the file.
//!
//! A line's place is that of its first words; what stands nowhere here goes to the section's end, in its own order.

use std::cmp::Ordering;

/// Sections in the order of the file; those of one kind are sorted by name.
pub(super) const SECTIONS: &[&str] = &[
    "global",
    "defaults",
    "userlist",
    "peers",
    "mailers",
    "resolvers",
    "cache",
    "ring",
    "log-forward",
    "http-errors",
    "frontend",
    "backend",
    "listen",
    "program",
    "fcgi-app",
];

/// `global`. All `tune.` lines share one place.
const GLOBAL: &str = "set-var|set-var-fmt|presetenv|resetenv|setenv|unsetenv|daemon|default-path|localpeer|chroot|uid|\
user|gid|group|ca-base|crt-base|master-worker|external-check|nosplice|nbproc|nbthread|cpu-map|mode|maxconn|\
maxconnrate|maxcomprate|maxcompcpuusage|maxpipes|maxsessrate|maxsslconn|maxsslrate|maxzlibmem|pidfile|stats socket|\
stats timeout|tune.|ssl-default-bind-options|ssl-default-bind-ciphers|ssl-default-bind-ciphersuites|\
ssl-default-server-options|ssl-default-server-ciphers|ssl-default-server-ciphersuites|ssl-dh-param-file|\
ssl-server-verify|hard-stop-after|log|log-send-hostname|lua-prepend-path|lua-load|server-state-file|\
server-state-base|max-spread-checks|spread-checks|description|expose-experimental-directives|insecure-fork-wanted|\
node|ulimit-n|strict-limits|thread-groups|stats maxconn|zero-warning";

const DEFAULTS: &str = "enabled|disabled|mode|monitor-uri|hash-type|balance|maxconn|backlog|log|option httplog|\
email-alert|stats|log-tag|log-format|log-format-sd|error-log-format|cookie|dynamic-cookie-key|bind-process|\
option tcplog|option httpclose|option redispatch|option dontlognull|option log-separate-errors|\
option http-buffer-request|option http-server-close|option http-keep-alive|option tcpka|option clitcpka|\
option srvtcpka|option contstats|option abortonclose|option logasap|option log-health-checks|option allbackups|\
option external-check|option forwardfor|option tcp-check|option httpslog|option persist|option prefer-last-server|\
option socket-stats|option dontlog-normal|tcp-check|option httpchk|http-check|external-check path|\
external-check command|http-reuse|timeout http-request|timeout check|timeout connect|timeout client|\
timeout client-fin|timeout queue|timeout server|timeout server-fin|timeout tunnel|timeout http-keep-alive|\
timeout tarpit|retries|server-state-file-name|compression|default-server|load-server-state-from-file|errorfile|\
errorfiles|default_backend|unique-id-format|unique-id-header|fullconn|http-send-name-header|max-keep-alive-queue|\
retry-on|http-error|source|persist|rate-limit sessions|hash-balance-factor";

const FRONTEND: &str = "id|description|enabled|disabled|mode|maxconn|backlog|bind|acl|monitor-uri|monitor fail|\
bind-process|log-tag|log-format|log-format-sd|error-log-format|log|email-alert|option httpclose|\
option http-buffer-request|option http-server-close|option http-keep-alive|option forwardfor|option tcplog|\
option dontlognull|option contstats|option log-separate-errors|option tcpka|option clitcpka|option logasap|\
option http-ignore-probes|option httpslog|option socket-stats|option dontlog-normal|option httplog|\
timeout http-request|timeout client|timeout client-fin|timeout http-keep-alive|timeout tarpit|filter|compression|\
tcp-request|stats|http-request|redirect|unique-id-format|unique-id-header|errorfile|errorfiles|use_backend|\
default_backend|stick-table|tcp-response|http-response|http-after-response|http-error|declare capture|\
rate-limit sessions";

const BACKEND: &str = "id|description|enabled|disabled|mode|hash-type|balance|acl|force-persist|ignore-persist|\
bind-process|option httpclose|option http-buffer-request|option http-server-close|option http-keep-alive|\
option forwardfor|option ssl-hello-chk|option smtpchk|option ldap-check|option mysql-check|option abortonclose|\
option pgsql-check|option redis-check|option redispatch|option external-check|option log-health-checks|log-tag|\
option tcpka|option srvtcpka|option allbackups|option tcp-check|option checkcache|option persist|\
option prefer-last-server|option spop-check|option transparent|tcp-check|option httpchk|http-check|\
external-check path|external-check command|log|email-alert|timeout http-request|timeout queue|\
timeout http-keep-alive|timeout check|timeout tunnel|timeout server|timeout server-fin|timeout connect|\
timeout tarpit|default-server|stick|filter|compression|tcp-request|stats|http-reuse|http-request|redirect|cookie|\
dynamic-cookie-key|use-server|stick-table|errorfile|errorfiles|server|retries|tcp-response|http-response|\
http-after-response|http-error|server-template|load-server-state-from-file|use-fcgi-app|server-state-file-name|\
fullconn|max-keep-alive-queue|retry-on|http-send-name-header|source|persist|hash-balance-factor";

const RESOLVERS: &str = "nameserver|hold nx|hold obsolete|hold other|hold refused|hold timeout|hold valid|\
timeout resolve|timeout retry|accepted_payload_size|parse-resolv-conf|resolve_retries";

/// Where a line belongs in its section.
pub(super) fn rank(kind: &str, words: &[&str]) -> usize {
    let table = match kind {
        "global" => GLOBAL,
        "defaults" => DEFAULTS,
        "frontend" => FRONTEND,
        "backend" => BACKEND,
        "resolvers" => RESOLVERS,
        "userlist" => "group|user",
        _ => return 0,
    };
    let words = if words.first() == Some(&"no") { words.get(1..).unwrap_or_default() } else { words };
    let fits = |entry: &str| match entry.strip_suffix('.') {
        Some(stem) => words.first().is_some_and(|word| word.starts_with(stem)),
        None => entry.split(' ').count() <= words.len() && entry.split(' ').zip(words).all(|(a, b)| a == *b),
    };
    table.split('|').position(fits).unwrap_or(usize::MAX)
}

/// The order of two lines with one place: as they came, but `tune.` lines by name.
pub(super) fn within(one: &str, two: &str) -> Ordering {
    if one.starts_with("tune.") && two.starts_with("tune.") { one.cmp(two) } else { Ordering::Equal }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines_have_their_place_and_others_go_to_the_end() {
        assert!(rank("backend", &["mode", "http"]) < rank("backend", &["server", "a", "1.2.3.4"]));
        assert!(rank("global", &["pidfile", "/x"]) < rank("global", &["stats", "socket", "/y"]));
        assert_eq!(rank("backend", &["shiny-new-keyword"]), usize::MAX);
        assert_eq!(rank("frontend", &["no", "option", "httplog"]), rank("frontend", &["option", "httplog"]));
    }
}
