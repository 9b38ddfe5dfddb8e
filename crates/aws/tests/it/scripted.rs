//! A server that answers as the test says.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use roster_testkit::MadeCertificate;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    /// The form's values, or nothing if the body is none.
    pub(crate) form: BTreeMap<String, String>,
}

impl Request {
    pub(crate) fn action(&self) -> &str {
        self.form.get("Action").map_or("", String::as_str)
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A status, headers and a body.
    Whole(u16, &'static [(&'static str, &'static str)], String),
    /// A body that ends before its announced length.
    Half(String),
    /// Nothing, until the client goes.
    Silence,
}

pub(crate) struct Scripted {
    addr: SocketAddr,
    is_tls: bool,
    seen: Arc<Mutex<Vec<Request>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Answers each request by the function; its number counts from zero.
    pub(crate) fn start(answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::serving(None, answer)
    }

    /// The same over TLS.
    pub(crate) fn start_tls(
        certificate: &MadeCertificate,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate.der.clone())], key)
            .unwrap();
        Self::serving(Some(Arc::new(config)), answer)
    }

    fn serving(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stopping = Arc::new(AtomicBool::new(false));
        let is_tls = tls.is_some();
        let thread = std::thread::spawn({
            let (seen, stopping, answer) = (Arc::clone(&seen), Arc::clone(&stopping), Arc::new(answer));
            move || {
                for stream in listener.incoming().flatten() {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                    let tls = tls.clone();
                    std::thread::spawn(move || match tls {
                        None => serve(stream, &seen, answer.as_ref()),
                        Some(config) => {
                            let connection = ServerConnection::new(config).unwrap();
                            serve(StreamOwned::new(connection, stream), &seen, answer.as_ref());
                        }
                    });
                }
            }
        });
        Self { addr, is_tls, seen, stopping, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.addr)
    }

    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        TcpStream::connect(self.addr).ok();
        self.thread.take().and_then(|thread| thread.join().ok());
    }
}

fn serve(stream: impl Read + Write, seen: &Mutex<Vec<Request>>, answer: &dyn Fn(usize, &Request) -> Reply) {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream) else { return };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let out = stream.get_mut();
    match answer(number, &request) {
        Reply::Whole(status, headers, body) => {
            let lines = headers.iter().fold(String::new(), |mut lines, (name, value)| {
                write!(lines, "{name}: {value}\r\n").unwrap();
                lines
            });
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{lines}\r\n"
            );
            out.write_all((head + &body).as_bytes()).ok();
        }
        Reply::Half(body) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len() + 10
            );
            out.write_all((head + &body).as_bytes()).ok();
        }
        Reply::Silence => drop(out.read(&mut [0])),
    }
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|&read| read > 0)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or_default();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let form = form_urlencoded::parse(&body).into_owned().collect();
    Some(Request { line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), headers, form })
}

/// An answer of `DescribeInstances`.
pub(crate) fn instances(ids: &[&str], next: &str) -> Reply {
    let items = ids.iter().fold(String::new(), |mut items, id| {
        write!(
            items,
            "<item><instanceId>{id}</instanceId><instanceState><name>running</name></instanceState>\
             <privateIpAddress>10.0.0.1</privateIpAddress><tagSet><item><key>{}</key><value>web</value></item></tagSet>\
             </item>",
            crate::common::TAG
        )
        .unwrap();
        items
    });
    let body = format!(
        "<DescribeInstancesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><reservationSet><item>\
         <ownerId>1</ownerId><instancesSet>{items}</instancesSet></item></reservationSet><nextToken>{next}</nextToken>\
         </DescribeInstancesResponse>"
    );
    Reply::Whole(200, &[], body)
}

/// An answer of `DescribeInstances` with one instance that has no tag.
pub(crate) fn bare_instance(id: &str) -> Reply {
    let Reply::Whole(status, headers, body) = instances(&[id], "") else { panic!("half an answer") };
    let (before, rest) = body.split_once("<tagSet>").unwrap();
    let (_, after) = rest.split_once("</tagSet>").unwrap();
    Reply::Whole(status, headers, format!("{before}{after}"))
}

/// An answer of `DescribeAutoScalingGroups`: one tagged group with these members, or none.
pub(crate) fn groups(members: &[&str]) -> Reply {
    groups_then(members, "")
}

/// The same, with a page to follow.
pub(crate) fn groups_then(members: &[&str], next: &str) -> Reply {
    let items = members.iter().fold(String::new(), |mut items, id| {
        write!(
            items,
            "<member><InstanceId>{id}</InstanceId><LifecycleState>InService</LifecycleState></member>"
        )
        .unwrap();
        items
    });
    let group = format!(
        "<member><AutoScalingGroupName>g</AutoScalingGroupName><Instances>{items}</Instances></member>"
    );
    let group = if members.is_empty() { String::new() } else { group };
    let body = format!(
        "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups>{group}\
         </AutoScalingGroups><NextToken>{next}</NextToken></DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>"
    );
    Reply::Whole(200, &[], body)
}

/// A refusal as EC2 writes it.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Reply {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
    );
    Reply::Whole(status, &[], body)
}
