//! Where a profile's credentials come from in the end, for what AWS's own library cannot do or cannot say.
//!
//! The order of a profile's keys is the library's: a role and its source, then web identity, SSO, a login, a program, keys.

use aws_config::profile::{Profile, ProfileSet};

/// What stands at the end of a profile's chain of roles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Base {
    /// Keys of this profile.
    Keys(String),
    /// A program that this profile names.
    Process { profile: String, command: String },
    /// A role that SSO gives.
    Sso { profile: String, role: String },
    /// A login of the console's, by `aws login`.
    Login(String),
    /// A role for a token in a file.
    WebIdentity { role: String },
    /// A way outside the profile, such as `Ec2InstanceMetadata`.
    Source(String),
    /// Nothing, or what the library refuses by itself.
    Unclear,
}

/// A profile's chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Chain {
    pub(super) base: Base,
    /// The role that is asked as, if one is assumed.
    pub(super) role: Option<String>,
    /// The profile whose role wants a code that a person types.
    pub(super) mfa: Option<String>,
}

/// Follows a profile to its end.
pub(super) fn chain(profiles: &ProfileSet, name: &str) -> Chain {
    let mut found = Chain { base: Base::Unclear, role: None, mfa: None };
    let mut visited: Vec<&str> = Vec::new();
    let mut next = name;
    while let Some(profile) = profiles.get_profile(next).filter(|_| !visited.contains(&next)) {
        visited.push(next);
        if visited.len() > 1 && has_keys(profile) {
            found.base = Base::Keys(next.to_owned());
            return found;
        }
        let role = profile.get("role_arn").filter(|_| profile.get("web_identity_token_file").is_none());
        let Some(role) = role else {
            found.base = base(profile);
            return found;
        };
        found.role.get_or_insert_with(|| role.to_owned());
        if profile.get("mfa_serial").is_some() {
            found.mfa.get_or_insert_with(|| next.to_owned());
        }
        match profile.get("source_profile") {
            Some(source) if source != next => next = source,
            _ => {
                found.base = base(profile);
                return found;
            }
        }
    }
    found
}

fn base(profile: &Profile) -> Base {
    let name = profile.name().to_owned();
    if let Some(source) = profile.get("credential_source") {
        return Base::Source(source.to_owned());
    }
    if let (Some(role), Some(_)) = (profile.get("role_arn"), profile.get("web_identity_token_file")) {
        return Base::WebIdentity { role: role.to_owned() };
    }
    if ["sso_session", "sso_start_url", "sso_account_id", "sso_role_name"]
        .iter()
        .any(|key| profile.get(key).is_some())
    {
        let role = profile.get("sso_role_name").unwrap_or_default();
        let account = profile.get("sso_account_id").unwrap_or_default();
        return Base::Sso { profile: name, role: format!("{role} of account {account}") };
    }
    if profile.get("login_session").is_some() {
        return Base::Login(name);
    }
    if let Some(command) = profile.get("credential_process") {
        return Base::Process { profile: name, command: command.to_owned() };
    }
    if has_keys(profile) { Base::Keys(name) } else { Base::Unclear }
}

fn has_keys(profile: &Profile) -> bool {
    profile.get("aws_access_key_id").is_some() && profile.get("aws_secret_access_key").is_some()
}

#[cfg(test)]
mod tests {
    use aws_config::profile::load;
    use aws_runtime::env_config::file::EnvConfigFiles;
    use aws_types::os_shim_internal::{Env, Fs};

    use super::*;

    async fn of(text: &str, name: &str) -> Chain {
        let (fs, env) = (Fs::from_slice(&[("/c", text)]), Env::from_slice(&[("AWS_CONFIG_FILE", "/c")]));
        chain(&load(&fs, &env, &EnvConfigFiles::default(), None).await.unwrap(), name)
    }

    #[tokio::test]
    async fn a_chain_of_roles_is_followed_to_what_gives_the_first_credentials() {
        let text = "[profile a]\nrole_arn = arn:a\nsource_profile = b\nmfa_serial = arn:mfa\n[profile b]\nrole_arn = arn:b\n\
                    source_profile = c\n[profile c]\ncredential_process = /bin/helper\naws_access_key_id = only half\n";
        let found = of(text, "a").await;
        let base = Base::Process { profile: "c".to_owned(), command: "/bin/helper".to_owned() };
        assert_eq!(found, Chain { base, role: Some("arn:a".to_owned()), mfa: Some("a".to_owned()) });
    }

    #[tokio::test]
    async fn each_way_of_a_profile_is_told_from_the_others() {
        let keys = "aws_access_key_id = A\naws_secret_access_key = s\n";
        for (body, expected) in [
            (keys, Base::Keys("p".to_owned())),
            (
                "role_arn = r\nsource_profile = p\naws_access_key_id = A\naws_secret_access_key = s\n",
                Base::Keys("p".to_owned()),
            ),
            ("role_arn = r\ncredential_source = Environment\n", Base::Source("Environment".to_owned())),
            ("role_arn = r\nweb_identity_token_file = /t\n", Base::WebIdentity { role: "r".to_owned() }),
            ("login_session = arn:aws:iam::1:user/x\ncredential_process = c\n", Base::Login("p".to_owned())),
            (
                "sso_session = s\nsso_account_id = 1\nsso_role_name = ro\n",
                Base::Sso { profile: "p".to_owned(), role: "ro of account 1".to_owned() },
            ),
            ("region = us-east-2\n", Base::Unclear),
            ("role_arn = r\nsource_profile = missing\n", Base::Unclear),
        ] {
            assert_eq!(of(&format!("[profile p]\n{body}"), "p").await.base, expected, "{body}");
        }
        let circle =
            "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nrole_arn = r\nsource_profile = p\n";
        assert_eq!(of(circle, "p").await.base, Base::Unclear);
    }
}
