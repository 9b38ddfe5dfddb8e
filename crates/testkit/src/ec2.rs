//! A stand-in for EC2 and Auto Scaling, for what moto does not do: rights that are lost, warm pools, lists without an end, an
//! answer of another time, tens of thousands of machines.
//!
//! Invariants: it is on loopback and ends with its value; the region changes only by the test's hand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Request;
use hyper::body::Incoming;
use rustls::ServerConfig;

use crate::MadeCertificate;
use crate::ports::{NoFreePort, free_port};
use crate::server::{Answers, Outcome, Server, whole};

/// The action that lists instances.
const INSTANCES: &str = "DescribeInstances";

/// What went wrong with the stand-in.
#[derive(Debug, thiserror::Error)]
pub enum Ec2Error {
    /// No port.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// Threads or sockets.
    #[error("the stand-in for EC2: {0}")]
    Io(#[from] io::Error),
}

/// A region.
#[derive(Clone, Debug, Default)]
pub struct Ec2World {
    /// The instances that run.
    pub machines: Vec<Ec2Machine>,
    /// The Auto Scaling groups.
    pub groups: Vec<Ec2Group>,
    /// Actions that are refused, with status and code.
    pub refused: BTreeMap<&'static str, (u16, &'static str)>,
    /// What the answers' `Date` says instead of the time.
    pub date: Option<&'static str>,
    /// Whether each page of instances is followed by another.
    pub is_endless: bool,
}

/// An instance.
#[derive(Clone, Debug, Default)]
pub struct Ec2Machine {
    /// Its id.
    pub id: String,
    /// Its private address, of either family.
    pub address: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// An Auto Scaling group.
#[derive(Clone, Debug, Default)]
pub struct Ec2Group {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<(String, String)>,
    /// Its instances, each with its lifecycle state. All are healthy.
    pub members: Vec<(String, &'static str)>,
}

/// A call that came in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ec2Call {
    /// What was asked.
    pub action: String,
    /// The id of the key that signed it.
    pub key: String,
    /// The rest of the form.
    pub form: BTreeMap<String, String>,
}

/// A running stand-in. Dropping it ends it.
#[derive(Debug)]
pub struct Ec2StandIn {
    addr: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    _server: Server,
}

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    world: Ec2World,
    calls: Vec<Ec2Call>,
}

impl Ec2StandIn {
    /// Starts one with an empty region.
    pub fn start() -> Result<Self, Ec2Error> {
        Self::with("http", None)
    }

    /// The same with TLS and this certificate.
    pub fn start_tls(certificate: &MadeCertificate) -> Result<Self, Ec2Error> {
        Self::with("https", Some(certificate.server().map_err(io::Error::other)?))
    }

    fn with(scheme: &'static str, tls: Option<ServerConfig>) -> Result<Self, Ec2Error> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let shared = Arc::<Shared>::default();
        let server = Server::start("ec2", addr, tls, Arc::clone(&shared))?;
        Ok(Self { addr, scheme, shared, _server: server })
    }

    /// Its address, of both services.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.addr)
    }

    /// Looks at the region, or changes it; no call is answered meanwhile.
    pub fn world<T>(&self, act: impl FnOnce(&mut Ec2World) -> T) -> T {
        act(&mut self.shared.lock().world)
    }

    /// The calls so far.
    pub fn calls(&self) -> Vec<Ec2Call> {
        self.shared.lock().calls.clone()
    }
}

impl Ec2Machine {
    /// One with these tags.
    pub fn new(id: &str, address: &str, tags: &[(&str, &str)]) -> Self {
        Self { id: id.to_owned(), address: address.to_owned(), tags: owned(tags) }
    }

    fn has(&self, key: &str) -> bool {
        self.tags.iter().any(|(name, _)| name == key)
    }

    fn xml(&self, text: &mut String) -> std::fmt::Result {
        let Self { id, address, tags } = self;
        write!(
            text,
            "<item><ownerId>123456789012</ownerId><instancesSet><item><instanceId>{id}</instanceId>"
        )?;
        text.write_str("<instanceState><code>16</code><name>running</name></instanceState>")?;
        let field = if address.contains(':') { "ipv6Address" } else { "privateIpAddress" };
        write!(text, "<{field}>{address}</{field}><launchTime>2026-01-02T03:04:05.000Z</launchTime>")?;
        text.write_str("<placement><availabilityZone>us-east-2a</availabilityZone></placement><tagSet>")?;
        for (key, value) in tags {
            write!(text, "<item><key>{key}</key><value>{value}</value></item>")?;
        }
        text.write_str("</tagSet></item></instancesSet></item>")
    }
}

impl Ec2Group {
    /// One with these tags and members.
    pub fn new(name: &str, tags: &[(&str, &str)], members: &[(&str, &'static str)]) -> Self {
        let members = members.iter().map(|&(id, state)| (id.to_owned(), state)).collect();
        Self { name: name.to_owned(), tags: owned(tags), members }
    }

    fn xml(&self, text: &mut String) -> std::fmt::Result {
        write!(text, "<member><AutoScalingGroupName>{}</AutoScalingGroupName><Instances>", self.name)?;
        for (id, state) in &self.members {
            write!(text, "<member><InstanceId>{id}</InstanceId><LifecycleState>{state}</LifecycleState>")?;
            text.write_str("<HealthStatus>Healthy</HealthStatus></member>")?;
        }
        text.write_str("</Instances><Tags>")?;
        for (key, value) in &self.tags {
            write!(text, "<member><Key>{key}</Key><Value>{value}</Value></member>")?;
        }
        text.write_str("</Tags></member>")
    }
}

fn owned(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

impl Answers for Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Outcome> {
        let (head, body) = whole(request).await?;
        let signed =
            head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let scope = signed.split_once("Credential=").map_or("", |(_, scope)| scope);
        let key = scope.split('/').next().unwrap_or_default().to_owned();
        let mut form: BTreeMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
        let action = form.remove("Action").unwrap_or_default();
        let mut state = self.lock();
        let answered = state.world.answer(&action, &form, state.calls.len());
        let (status, body) = answered.map_err(io::Error::other)?;
        let headers = state.world.date.map(|date| ("date", date.to_owned())).into_iter().collect();
        state.calls.push(Ec2Call { action, key, form });
        Ok(Outcome { status, headers, body: body.into_bytes(), cut: false })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ec2World {
    /// A status and a body.
    fn answer(
        &self,
        action: &str,
        form: &BTreeMap<String, String>,
        number: usize,
    ) -> Result<(u16, String), std::fmt::Error> {
        let refused = self.refused.get(action).copied();
        let refused = refused.or(if action.is_empty() { Some((400, "MissingAction")) } else { None });
        if let Some((status, code)) = refused {
            let error = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
            let body = match action {
                INSTANCES => format!("<Response><Errors>{error}</Errors></Response>"),
                _ => format!("<ErrorResponse>{error}</ErrorResponse>"),
            };
            return Ok((status, body));
        }
        let mut text = String::new();
        if action == INSTANCES {
            text.write_str("<DescribeInstancesResponse><reservationSet>")?;
            let next = self.instances(form, number, &mut text)?;
            write!(text, "</reservationSet>{next}</DescribeInstancesResponse>")?;
        } else {
            let result = "DescribeAutoScalingGroupsResult";
            write!(text, "<DescribeAutoScalingGroupsResponse><{result}><AutoScalingGroups>")?;
            self.groups.iter().try_for_each(|group| group.xml(&mut text))?;
            write!(text, "</AutoScalingGroups></{result}></DescribeAutoScalingGroupsResponse>")?;
        }
        Ok((200, text))
    }

    /// Writes a page and gives the element that names the next one. Of filters only the one by a tag's key counts.
    fn instances(
        &self,
        form: &BTreeMap<String, String>,
        number: usize,
        text: &mut String,
    ) -> Result<String, std::fmt::Error> {
        let ids: Vec<&String> =
            form.iter().filter(|(key, _)| key.starts_with("InstanceId.")).map(|(_, id)| id).collect();
        let tag = (1..10).find_map(|n| {
            let name = form.get(&format!("Filter.{n}.Name"))?;
            if name == "tag-key" { form.get(&format!("Filter.{n}.Value.1")) } else { None }
        });
        let wanted = |machine: &&Ec2Machine| {
            if ids.is_empty() { tag.is_none_or(|tag| machine.has(tag)) } else { ids.contains(&&machine.id) }
        };
        let from: usize = form.get("NextToken").and_then(|token| token.parse().ok()).unwrap_or_default();
        let most: usize = form.get("MaxResults").and_then(|most| most.parse().ok()).unwrap_or(usize::MAX);
        let mut all = self.machines.iter().filter(wanted).skip(if self.is_endless { 0 } else { from });
        all.by_ref().take(most).try_for_each(|machine| machine.xml(text))?;
        let next = match all.next() {
            _ if self.is_endless => format!("page-{number}"),
            Some(_) => (from + most).to_string(),
            None => return Ok(String::new()),
        };
        Ok(format!("<nextToken>{next}</nextToken>"))
    }
}
