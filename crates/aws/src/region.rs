//! Regions, and where their services answer.
//!
//! Invariant: a region's name is a host name's label, so it can lead a call nowhere else.

use std::fmt;

use reqwest::Url;
use thiserror::Error;

/// A region's name, such as `eu-central-1`: letters, digits and dashes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region(Box<str>);

/// Text that is no region.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{given:?} is no AWS region; write its name, such as us-east-2 (a zone's name without the letter at its end)"
)]
pub struct InvalidRegion {
    given: String,
}

/// The two services that are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Service {
    Ec2,
    AutoScaling,
}

/// Which of a service's addresses is wanted, by `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT` or the profile.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Variant {
    pub(crate) fips: bool,
    pub(crate) dual_stack: bool,
}

/// A part of AWS with domains of its own. Prefix of its regions, domain, domain with IPv6; as in `partitions.json`, which
/// AWS's SDKs share.
struct Partition(&'static str, &'static str, &'static str);

const PARTITIONS: [Partition; 7] = [
    Partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    Partition("us-gov-", "amazonaws.com", "api.aws"),
    Partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    Partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    Partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    Partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    Partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
];
/// Every other region's, also of those that are yet to come.
const STANDARD: Partition = Partition("", "amazonaws.com", "api.aws");

impl Region {
    /// Takes a region's name. Whether it is there shows only when it is asked.
    pub fn new(text: &str) -> Result<Self, InvalidRegion> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // A zone's name ends in a letter: the mistake that is made most.
        let fits = (1..=63).contains(&text.len())
            && text.bytes().all(allowed)
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.ends_with(|last: char| last.is_ascii_digit());
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidRegion { given: text.chars().take(80).collect() })
        }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Service {
    /// Its name in a signature and in its host.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::AutoScaling => "autoscaling",
        }
    }

    /// Its name as AWS writes it.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::AutoScaling => "Auto Scaling",
        }
    }

    /// Its variable for an address of its own.
    pub(crate) fn variable(self) -> &'static str {
        match self {
            Self::Ec2 => "AWS_ENDPOINT_URL_EC2",
            Self::AutoScaling => "AWS_ENDPOINT_URL_AUTO_SCALING",
        }
    }

    /// Its keys in a section of services of the shared file: AWS's own, then what some libraries made of it.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Ec2 => &["ec2"],
            Self::AutoScaling => &["auto_scaling", "auto-scaling"],
        }
    }

    /// Its host in a region, by the endpoint rules of its SDK.
    pub(crate) fn host(self, region: &Region, variant: Variant) -> String {
        let here = PARTITIONS.iter().find(|Partition(prefix, ..)| region.as_str().starts_with(prefix));
        let Partition(prefix, domain, dual) = here.unwrap_or(&STANDARD);
        let name = self.name();
        match variant {
            // GovCloud's ordinary addresses are those with FIPS.
            Variant { fips: true, dual_stack: false } if *prefix == "us-gov-" => {
                format!("{name}.{region}.{domain}")
            }
            Variant { fips: true, dual_stack: false } => format!("{name}-fips.{region}.{domain}"),
            Variant { fips: true, dual_stack: true } => format!("{name}-fips.{region}.{dual}"),
            Variant { fips: false, dual_stack: true } => format!("{name}.{region}.{dual}"),
            Variant { fips: false, dual_stack: false } => format!("{name}.{region}.{domain}"),
        }
    }

    pub(crate) fn url(self, region: &Region, variant: Variant) -> Option<Url> {
        Url::parse(&format!("https://{}/", self.host(region, variant))).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(service: Service, region: &str, fips: bool, dual_stack: bool) -> String {
        service.host(&Region::new(region).unwrap(), Variant { fips, dual_stack })
    }

    #[test]
    fn each_partition_has_its_own_domain() {
        for (region, expected) in [
            ("us-east-2", "ec2.us-east-2.amazonaws.com"),
            ("mx-central-1", "ec2.mx-central-1.amazonaws.com"),
            ("cn-north-1", "ec2.cn-north-1.amazonaws.com.cn"),
            ("us-gov-west-1", "ec2.us-gov-west-1.amazonaws.com"),
            ("eusc-de-east-1", "ec2.eusc-de-east-1.amazonaws.eu"),
            ("us-iso-east-1", "ec2.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "ec2.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", "ec2.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", "ec2.us-isof-south-1.csp.hci.ic.gov"),
        ] {
            assert_eq!(host(Service::Ec2, region, false, false), expected);
        }
        assert_eq!(
            host(Service::AutoScaling, "cn-north-1", false, false),
            "autoscaling.cn-north-1.amazonaws.com.cn"
        );
    }

    #[test]
    fn fips_and_dual_stack_are_asked_for_by_name() {
        assert_eq!(host(Service::Ec2, "us-east-1", true, false), "ec2-fips.us-east-1.amazonaws.com");
        assert_eq!(host(Service::Ec2, "us-gov-east-1", true, false), "ec2.us-gov-east-1.amazonaws.com");
        assert_eq!(host(Service::Ec2, "us-east-1", false, true), "ec2.us-east-1.api.aws");
        assert_eq!(host(Service::AutoScaling, "us-east-1", true, true), "autoscaling-fips.us-east-1.api.aws");
    }

    #[test]
    fn a_zone_is_no_region_and_the_error_says_so() {
        for wrong in ["", "us-east-1a", "US-EAST-1", "us_east_1", "evil.example/1", "-1", "1"] {
            assert!(Region::new(wrong).is_err(), "{wrong:?}");
        }
        let text = Region::new("us-east-1a").unwrap_err().to_string();
        assert!(text.contains("us-east-1a") && text.contains("without the letter"), "{text}");
    }

    proptest! {
        #[test]
        fn a_call_goes_to_a_domain_of_aws_whatever_the_region_says(
            text in "[a-z0-9./:@#?-]{0,40}|(us|eu|cn|us-gov|us-iso|us-isob)-[a-z]{1,9}-[0-9]", fips: bool, dual_stack: bool,
        ) {
            if let Ok(region) = Region::new(&text) {
                let url = Service::Ec2.url(&region, Variant { fips, dual_stack }).unwrap();
                let host = url.host_str().unwrap();
                let known = PARTITIONS.iter().chain([&STANDARD]);
                let suffixes = known.flat_map(|at| [at.1, at.2]).map(|domain| [".", domain].concat());
                prop_assert!(suffixes.into_iter().any(|suffix| host.ends_with(&suffix)));
                prop_assert_eq!((url.path(), url.port(), url.username()), ("/", None, ""));
            }
        }
    }
}
