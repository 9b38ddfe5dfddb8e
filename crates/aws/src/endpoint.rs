//! Where the two services answer.

use aws_config::SdkConfig;
use reqwest::Url;

use crate::error::SettingsError;
use crate::region::{Service, Variant};
use crate::settings::Settings;
use crate::shared::Shared;

/// Where a service answers: the settings' word, then the environment's for this service and for all, then the profile's for
/// this service and for all (AWS SDKs reference, "Service-specific endpoints"), then AWS's own address.
pub(crate) fn address(
    service: Service,
    settings: &Settings,
    shared: &Shared,
    config: &SdkConfig,
) -> Result<Url, SettingsError> {
    if let Some(url) = &settings.endpoint {
        return checked(service, url.as_str(), "endpoint");
    }
    let environment = &settings.environment;
    let ignored = environment.says("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        || shared
            .get("ignore_configured_endpoint_urls")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !ignored {
        for variable in [service.variable(), "AWS_ENDPOINT_URL"] {
            if let Some(given) = environment.text(variable) {
                return checked(service, given, variable);
            }
        }
        if let Some(given) = shared.endpoint(service) {
            return checked(service, given, "endpoint_url of the profile");
        }
    }
    let variant = Variant {
        fips: config.use_fips().unwrap_or_default(),
        dual_stack: config.use_dual_stack().unwrap_or_default(),
    };
    let host = service.host(&settings.region, variant);
    service.url(&settings.region, variant).ok_or_else(|| refused(service, &host, "region"))
}

fn checked(service: Service, given: &str, place: &'static str) -> Result<Url, SettingsError> {
    let url = Url::parse(given).ok().filter(|url| {
        let plain = url.username().is_empty() && url.password().is_none();
        plain && matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none()
    });
    url.ok_or_else(|| refused(service, given, place))
}

/// Only what stands behind a user and before a query is shown: either may be a secret.
fn refused(service: Service, given: &str, place: &'static str) -> SettingsError {
    let behind_user = given.rsplit_once('@').map_or(given, |(_, rest)| rest);
    let before_query = behind_user.split(['?', '#']).next().unwrap_or_default();
    SettingsError::Endpoint { service: service.id(), given: crate::error::shown(before_query), place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_user_is_refused_without_its_password() {
        let error =
            checked(Service::Ec2, "https://me:hunter2@host/?token=x", "endpoint").unwrap_err().to_string();
        assert!(!error.contains("hunter2") && !error.contains("token"), "{error}");
        for wrong in ["", "host:80", "ftp://host", "https://host/?a=b", "https://host/#a"] {
            assert!(checked(Service::Ec2, wrong, "endpoint").is_err(), "{wrong}");
        }
        assert!(checked(Service::Ec2, "http://127.0.0.1:5000/aws", "endpoint").is_ok());
    }
}
