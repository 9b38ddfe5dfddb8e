//! Clients of the admin address and of the control socket that hang, and what the level `trace` writes.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{EXPOSE, Told};

/// Asks for metrics again and again and reads nothing, until nothing more is taken.
fn deaf(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    while stream.write_all(request.as_bytes()).is_ok() {}
    stream
}

/// Lets this process have the files that its clients need: some systems give a process 1,024.
fn more_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(4096, |most| most.min(4096));
    if limit.current.is_some_and(|now| now < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).unwrap();
    }
}

#[test]
fn clients_that_read_nothing_or_send_half_a_request_keep_no_other_from_asking() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let _deaf: Vec<TcpStream> = std::thread::scope(|scope| {
        let each: Vec<_> = (0..64).map(|_| scope.spawn(|| deaf(told.at))).collect();
        each.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let asked = Instant::now();
    assert_eq!(told.get("/healthz").status, 200);
    assert_eq!(told.get("/readyz").status, 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    more_open_files();
    let half = |_| {
        let mut stream = UnixStream::connect(told.control()).unwrap();
        stream.write_all(b"POST /api/v1/rel").unwrap();
        stream
    };
    let _half: Vec<_> = (0..1000).map(half).collect();
    let asked = Instant::now();
    let status = told.rig.roster(&["status"]);
    assert_eq!((status.code, status.err.as_str()), (Some(0), ""), "{status:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn trace_writes_each_command_and_its_answer_and_nothing_of_libraries() {
    let told = Told::new();
    told.configure(&format!("admin: {{ listen: \"{}\" }}\nlog: {{ level: trace }}\n{EXPOSE}", told.at));
    let daemon = told.run(&[8001]);
    daemon.until_log("command=\"set server web/srv1 addr 127.0.0.1 port 8001\"");
    let log = daemon.log();
    let answered = |line: &str| line.contains("HAProxy answered") && line.contains("command=\"show info\"");
    let line = log.lines().find(|line| answered(line)).unwrap();
    assert!(line.contains("Version: "), "no answer: {line}");
    assert!(!log.contains("hyper"), "{log}");
}
