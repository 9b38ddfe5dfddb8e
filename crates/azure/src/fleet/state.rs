//! What an instance view says of a machine.

use roster_core::instance::Health;

use crate::arm::wire::{InstanceView, View};

/// Whether a machine runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Power {
    Running,
    /// It does not: stopped, starting, deallocated … Or it does in a standby pool, where it waits to be part of its scale set.
    Off,
    /// It is being created: there is no power state yet.
    BeingMade,
    /// Azure does not know just now, and says why.
    Unknown(String),
}

/// A machine's state, as far as it is known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct State {
    pub(crate) power: Power,
    pub(crate) health: Health,
}

impl Power {
    /// What Azure left out, where it says so.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            Self::Unknown(reason) => Some(reason),
            Self::Running | Self::Off | Self::BeingMade => None,
        }
    }
}

impl State {
    pub(crate) fn unknown(why: &str) -> Self {
        Self { power: Power::Unknown(why.to_owned()), health: Health::Unknown }
    }

    /// Reads `instanceView`. Codes are compared without their case, as Azure's documentation asks for.
    pub(crate) fn read(view: &View) -> Self {
        let view = match view {
            View::Whole(view) => view,
            View::Missing => return Self::unknown("Azure sent no instance view"),
            View::Odd(error) => return Self::unknown(&format!("its instance view cannot be read: {error}")),
        };
        let health = view.vm_health.as_ref().and_then(|health| health.status.as_ref());
        let health = health.and_then(|status| after("healthstate/", &status.code));
        let health = match health.as_deref() {
            Some("healthy") => Health::Passing,
            Some("unhealthy") => Health::Failing,
            _ => Health::Unknown,
        };
        Self { power: power(view), health }
    }
}

fn power(view: &InstanceView) -> Power {
    if view.in_standby_pool == Some(true) {
        return Power::Off;
    }
    let statuses = view.statuses.as_deref().unwrap_or_default();
    if statuses.is_empty() {
        return Power::Unknown("its instance view is empty".to_owned());
    }
    let power = statuses.iter().find_map(|status| after("powerstate/", &status.code));
    match power.as_deref() {
        Some("running") => Power::Running,
        Some(
            "creating" | "starting" | "stopping" | "stopped" | "deallocating" | "deallocated" | "hibernating"
            | "hibernated",
        ) => Power::Off,
        Some(word) => Power::Unknown(format!("Azure says PowerState/{word}")),
        None => {
            let failed = statuses.iter().find(|status| {
                status.level.eq_ignore_ascii_case("error")
                    && after("provisioningstate/", &status.code).is_none()
            });
            match failed {
                Some(status) => Power::Unknown(format!("its instance view is an error: {}", status.code)),
                None => Power::BeingMade,
            }
        }
    }
}

/// What follows a prefix that is written in lower case, in lower case.
fn after(prefix: &str, code: &str) -> Option<String> {
    code.to_ascii_lowercase().strip_prefix(prefix).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    fn read(view: &Value) -> State {
        State::read(&View::deserialize(view).unwrap())
    }

    fn power_of(view: &Value) -> Power {
        read(view).power
    }

    fn codes(codes: &[&str]) -> Value {
        let statuses: Vec<Value> = codes.iter().map(|code| json!({"code": code, "level": "Info"})).collect();
        json!({ "statuses": statuses })
    }

    #[test]
    fn only_running_is_running_in_any_case() {
        for code in ["PowerState/running", "powerstate/Running"] {
            assert_eq!(power_of(&codes(&["ProvisioningState/succeeded", code])), Power::Running, "{code}");
        }
        for code in [
            "creating",
            "starting",
            "stopping",
            "Stopped",
            "deallocating",
            "deallocated",
            "hibernating",
            "hibernated",
        ] {
            assert_eq!(power_of(&codes(&[&format!("PowerState/{code}")])), Power::Off, "{code}");
        }
    }

    #[test]
    fn a_machine_without_a_power_state_is_being_made() {
        assert_eq!(power_of(&codes(&["ProvisioningState/creating"])), Power::BeingMade);
        let failed = json!({"statuses": [{"code": "ProvisioningState/failed/Quota", "level": "Error"}]});
        assert_eq!(power_of(&failed), Power::BeingMade);
    }

    #[test]
    fn a_view_that_is_missing_odd_empty_or_an_error_says_nothing_about_power() {
        for view in [
            json!({}),
            json!({"statuses": null}),
            json!({"statuses": []}),
            json!({"statuses": "throttled"}),
            json!({"statuses": [{"code": "InternalOperationError", "level": "Error"}]}),
            codes(&["PowerState/unknown"]),
            codes(&["PowerState/"]),
            codes(&["PowerState/of the future"]),
            json!(7),
        ] {
            assert!(matches!(power_of(&view), Power::Unknown(_)), "{view}");
        }
        assert!(matches!(State::read(&View::Missing).power, Power::Unknown(_)));
        assert!(matches!(power_of(&json!(null)), Power::Unknown(_)));
    }

    #[test]
    fn health_is_what_the_health_extension_says() {
        let of = |code: &str| read(&json!({"vmHealth": {"status": {"code": code}}})).health;
        assert_eq!(of("HealthState/healthy"), Health::Passing);
        assert_eq!(of("healthstate/UNHEALTHY"), Health::Failing);
        for code in ["initializing", "unknown", "invalid", ""] {
            assert_eq!(of(&format!("HealthState/{code}")), Health::Unknown, "{code}");
        }
        assert_eq!(read(&json!({"vmHealth": null})).health, Health::Unknown);
    }

    #[test]
    fn a_machine_in_a_standby_pool_is_not_in_service_though_it_runs() {
        let in_pool = |is| {
            let view = json!({"isVMInStandbyPool": is, "statuses": [{"code": "PowerState/running"}]});
            power_of(&view)
        };
        assert_eq!(in_pool(json!(true)), Power::Off);
        assert_eq!((in_pool(json!(false)), in_pool(json!(null))), (Power::Running, Power::Running));
    }
}
