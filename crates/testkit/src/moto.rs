//! A real moto server, which answers as EC2, Auto Scaling and IAM do, and what a test makes in it.
//!
//! Invariants: the server is on loopback and ends with the value; every instance is a reservation of its own, as when
//! machines are started one by one, so that pages are counted as AWS counts them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::component::{MissingComponent, moto_server};
use crate::ports::{NoFreePort, free_port};
use crate::wait::{Poll, wait_until};

/// Python starts slowly on a machine that compiles.
const CAP: Duration = Duration::from_secs(60);
/// The only image of its, since it looks through all of them for each instance.
const IMAGE: &str = "ami-12c6146b";
const IMAGES: &str = r#"[{"ami_id": "ami-12c6146b", "name": "only", "description": "only", "owner_id": "801119661308",
    "public": true, "virtualization_type": "hvm", "architecture": "x86_64", "state": "available", "platform": null,
    "image_type": "machine", "hypervisor": "xen", "root_device_name": "/dev/sda1", "root_device_type": "ebs",
    "sriov": "simple", "creation_date": "2026-01-01T00:00:00.000Z"}]"#;

/// A running moto server. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    child: Child,
    addr: SocketAddr,
    region: String,
    dir: TempDir,
}

/// An access key that moto made.
#[derive(Clone, Debug)]
pub struct MotoKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

/// A group's tag.
#[derive(Clone, Copy, Debug)]
pub struct GroupTag<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Whether instances get it at their launch.
    pub propagated: bool,
}

/// What went wrong with moto.
#[derive(Debug, thiserror::Error)]
pub enum MotoError {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] MissingComponent),
    /// No port.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// Files, processes or sockets.
    #[error("moto: {0}")]
    Io(#[from] io::Error),
    /// It ended, or did not answer in time.
    #[error("moto did not come up: {why}\n--- its log:\n{log}")]
    NotUp {
        /// The last state.
        why: String,
        /// All that it wrote.
        log: String,
    },
    /// It refused a call of the test's own.
    #[error("moto refused {action}: {answer}")]
    Refused {
        /// The call.
        action: String,
        /// The whole answer.
        answer: String,
    },
}

impl Moto {
    /// Starts it for a region.
    pub fn start(region: &str) -> Result<Self, MotoError> {
        let program = moto_server()?;
        let dir = TempDir::new()?;
        let port = free_port()?;
        let images = dir.path().join("images.json");
        fs::write(&images, IMAGES)?;
        let log = File::create(dir.path().join("moto.log"))?;
        let child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_AMIS_PATH", images)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let addr = (Ipv4Addr::LOCALHOST, port).into();
        let mut moto = Self { child, addr, region: region.to_owned(), dir };
        moto.until_up()?;
        Ok(moto)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its address as an endpoint of all services.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Starts instances with the same tags in the region's first zone, each a reservation of its own.
    pub fn instances(&self, count: usize, tags: &[(&str, &str)]) -> Result<Vec<String>, MotoError> {
        self.instances_in(&format!("{}a", self.region), count, tags)
    }

    /// The same in a zone of the region's.
    pub fn instances_in(
        &self,
        zone: &str,
        count: usize,
        tags: &[(&str, &str)],
    ) -> Result<Vec<String>, MotoError> {
        let what =
            [("ImageId", IMAGE), ("MinCount", "1"), ("MaxCount", "1"), ("Placement.AvailabilityZone", zone)];
        let mut form = pairs(&what);
        form.push(("TagSpecification.1.ResourceType".to_owned(), "instance".to_owned()));
        for ((key, value), number) in tags.iter().zip(1..) {
            let tag = format!("TagSpecification.1.Tag.{number}");
            form.extend([
                (format!("{tag}.Key"), (*key).to_owned()),
                (format!("{tag}.Value"), (*value).to_owned()),
            ]);
        }
        let one = |_| Ok(between(&self.ec2("RunInstances", &form)?, "instanceId").concat());
        (0..count).map(one).collect()
    }

    /// The private address of an instance.
    pub fn address(&self, instance: &str) -> Result<String, MotoError> {
        let answer = self.ec2("DescribeInstances", &pairs(&[("InstanceId.1", instance)]))?;
        Ok(between(&answer, "privateIpAddress").into_iter().next().unwrap_or_default())
    }

    /// Gives an instance a tag, or the tag another value.
    pub fn tag(&self, instance: &str, key: &str, value: &str) -> Result<(), MotoError> {
        let form = pairs(&[("ResourceId.1", instance), ("Tag.1.Key", key), ("Tag.1.Value", value)]);
        self.ec2("CreateTags", &form).map(drop)
    }

    /// Takes a tag from an instance.
    pub fn untag(&self, instance: &str, key: &str) -> Result<(), MotoError> {
        self.ec2("DeleteTags", &pairs(&[("ResourceId.1", instance), ("Tag.1.Key", key)])).map(drop)
    }

    /// Ends an instance.
    pub fn terminate(&self, instance: &str) -> Result<(), MotoError> {
        self.ec2("TerminateInstances", &pairs(&[("InstanceId.1", instance)])).map(drop)
    }

    /// Stops an instance.
    pub fn stop(&self, instance: &str) -> Result<(), MotoError> {
        self.ec2("StopInstances", &pairs(&[("InstanceId.1", instance)])).map(drop)
    }

    /// Makes a group with so many instances, and tells their ids.
    pub fn group(&self, name: &str, size: usize, tags: &[GroupTag<'_>]) -> Result<Vec<String>, MotoError> {
        let launch = format!("{name}-launch");
        let what =
            [("LaunchConfigurationName", launch.as_str()), ("ImageId", IMAGE), ("InstanceType", "t3.micro")];
        self.scaling("CreateLaunchConfiguration", &pairs(&what))?;
        let size = size.to_string();
        let zone = format!("{}a", self.region);
        let mut form = pairs(&[
            ("AutoScalingGroupName", name),
            ("LaunchConfigurationName", &launch),
            ("MinSize", "0"),
            ("MaxSize", "5000"),
            ("DesiredCapacity", &size),
            ("AvailabilityZones.member.1", &zone),
        ]);
        for (tag, number) in tags.iter().zip(1..) {
            let member = format!("Tags.member.{number}");
            form.extend([
                (format!("{member}.Key"), tag.key.to_owned()),
                (format!("{member}.Value"), tag.value.to_owned()),
                (format!("{member}.PropagateAtLaunch"), tag.propagated.to_string()),
            ]);
        }
        self.scaling("CreateAutoScalingGroup", &form)?;
        let answer =
            self.scaling("DescribeAutoScalingGroups", &pairs(&[("AutoScalingGroupNames.member.1", name)]))?;
        Ok(between(&answer, "InstanceId"))
    }

    /// Lets a group think that an instance is not healthy.
    pub fn unhealthy(&self, instance: &str) -> Result<(), MotoError> {
        let form = pairs(&[("InstanceId", instance), ("HealthStatus", "Unhealthy")]);
        self.scaling("SetInstanceHealth", &form).map(drop)
    }

    /// Puts an instance of a group on standby.
    pub fn standby(&self, group: &str, instance: &str) -> Result<(), MotoError> {
        let form = pairs(&[
            ("AutoScalingGroupName", group),
            ("InstanceIds.member.1", instance),
            ("ShouldDecrementDesiredCapacity", "true"),
        ]);
        self.scaling("EnterStandby", &form).map(drop)
    }

    /// A user who may do these actions and no others, once [`Moto::check_keys`] was called.
    pub fn user(&self, name: &str, actions: &[&str]) -> Result<MotoKey, MotoError> {
        self.iam("CreateUser", &pairs(&[("UserName", name)]))?;
        let statement = serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": "*" });
        let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string();
        let form = pairs(&[("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &policy)]);
        self.iam("PutUserPolicy", &form)?;
        let answer = self.iam("CreateAccessKey", &pairs(&[("UserName", name)]))?;
        let one = |tag| between(&answer, tag).concat();
        Ok(MotoKey { id: one("AccessKeyId"), secret: one("SecretAccessKey") })
    }

    /// From now on every signature and every permission is checked. The test can make nothing more.
    pub fn check_keys(&self) -> Result<(), MotoError> {
        self.send("/moto-api/reset-auth", "moto", "text/plain", "0").map(drop)
    }

    fn ec2(&self, action: &str, form: &[(String, String)]) -> Result<String, MotoError> {
        self.call("ec2", "2016-11-15", action, form)
    }

    fn scaling(&self, action: &str, form: &[(String, String)]) -> Result<String, MotoError> {
        self.call("autoscaling", "2011-01-01", action, form)
    }

    fn iam(&self, action: &str, form: &[(String, String)]) -> Result<String, MotoError> {
        self.call("iam", "2010-05-08", action, form)
    }

    fn call(
        &self,
        service: &str,
        version: &str,
        action: &str,
        form: &[(String, String)],
    ) -> Result<String, MotoError> {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let body = form.iter().fold(format!("Action={action}&Version={version}"), |body, (key, value)| {
            format!("{body}&{}={}", encode(key), encode(value))
        });
        self.send("/", service, "application/x-www-form-urlencoded", &body).and_then(|(status, answer)| {
            match status {
                200 => Ok(answer),
                _ => Err(MotoError::Refused { action: action.to_owned(), answer }),
            }
        })
    }

    /// moto tells a service and a region by what is said to be signed; it checks nothing until it is told to.
    fn send(&self, path: &str, service: &str, kind: &str, body: &str) -> Result<(u16, String), MotoError> {
        let mut stream = TcpStream::connect_timeout(&self.addr, CAP)?;
        stream.set_read_timeout(Some(CAP))?;
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/{}/{service}/aws4_request, SignedHeaders=host, \
             Signature=0\r\n\r\n{body}",
            self.addr,
            body.len(),
            self.region,
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status =
            answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        Ok((status, body))
    }

    fn until_up(&mut self) -> Result<(), MotoError> {
        let up = wait_until(CAP, "moto to listen", || match self.child.try_wait() {
            Ok(None) => match TcpStream::connect(self.addr) {
                Ok(_) => Poll::Ready(Ok(())),
                Err(error) => Poll::Pending(error.to_string()),
            },
            Ok(Some(status)) => Poll::Ready(Err(format!("it ended with {status}"))),
            Err(error) => Poll::Ready(Err(error.to_string())),
        });
        let log = || fs::read_to_string(self.dir.path().join("moto.log")).unwrap_or_default();
        up.map_err(|late| late.to_string()).flatten().map_err(|why| MotoError::NotUp { why, log: log() })
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It keeps nothing that would have to be put in order.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The texts of all elements of a name.
fn between(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}
