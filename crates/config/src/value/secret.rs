//! Secrets: from a variable or a file, and shown nowhere.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use roster_files::{Kind, ReadError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// A secret as the configuration has it: `"${NAME}"`, or `{ file: path }`. A text in the file itself works too.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Secret {
    /// The secret itself.
    Text(SecretText),
    /// The file that holds it.
    File(SecretFile),
}

/// A secret's text. It is not in any output, and it is wiped when it is dropped.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct SecretText(SecretString);

/// The file that holds a secret and, at its end, perhaps a newline.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    /// The file, relative to the folder of the configuration.
    pub file: PathBuf,
}

/// Why there is no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error(
        "the secret in {path:?} cannot be read ({why}); check that the file is there and that Roster may read it"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What speaks against it.
        why: ReadError,
    },
    /// Bytes that are no text.
    #[error("the secret in {0:?} is not UTF-8 text; write it as text, with no more than a newline after it")]
    NotText(PathBuf),
    /// Nothing in it.
    #[error("the secret in {0:?} is empty; write the secret into the file")]
    Empty(PathBuf),
    /// An empty variable.
    #[error("the secret is empty; set it, or use `{{ file: … }}`")]
    EmptyText,
}

impl SecretText {
    /// The secret, for the one call that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(hidden)")
    }
}

impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// Writes `${NAME}`, which is no secret, and refuses anything else.
impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.expose();
        if text.starts_with("${") && text.ends_with('}') {
            return serializer.serialize_str(text);
        }
        Err(S::Error::custom("a secret is not written out; name a variable or a file instead"))
    }
}

impl Secret {
    /// Reads the file, if the secret is in one. The second value warns of a file that others can read.
    pub fn resolve(&self, folder: &Path) -> Result<(SecretText, Option<String>), SecretError> {
        match self {
            Secret::Text(text) => Ok((text.clone(), None)),
            Secret::File(SecretFile { file }) => read(&folder.join(file)),
        }
    }
}

fn read(path: &Path) -> Result<(SecretText, Option<String>), SecretError> {
    let unreadable = |why| SecretError::Unreadable { path: path.to_owned(), why };
    let content = roster_files::read(path, Kind::Secret).map_err(unreadable)?;
    let mode = content.after.permissions().mode() & 0o777;
    let text = content.into_text().map_err(|_| SecretError::NotText(path.to_owned()))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    let warning = (mode & 0o077 != 0).then(|| {
        format!("the secret in {} has mode {mode:04o}, so others can read it; chmod 600 it", path.display())
    });
    Ok((line.to_owned().into(), warning))
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<SecretFile>();
        json_schema!({
            "description": "A secret: `\"${NAME}\"` for a variable of the environment, or `{ file: path }`.",
            "anyOf": [{ "type": "string", "writeOnly": true }, file],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use insta::assert_snapshot;

    use super::*;
    use crate::document::Document;
    use crate::problem::Problems;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Login {
        password: Secret,
    }

    fn login(text: &str) -> Result<Login, Problems> {
        let env = BTreeMap::from([("PW".to_owned(), "hunter2".to_owned())]);
        Document::parse("x.yaml", text, &env)?.decode()
    }

    fn from_file(
        content: &[u8],
        mode: u32,
    ) -> (Result<(SecretText, Option<String>), SecretError>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pw");
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        (login("password: { file: pw }").unwrap().password.resolve(folder.path()), folder)
    }

    #[test]
    fn a_secret_comes_from_a_variable_or_a_file() {
        let (secret, warning) = login("password: ${PW}").unwrap().password.resolve(Path::new("/")).unwrap();
        assert_eq!((secret.expose(), warning), ("hunter2", None));
        let (secret, warning) = from_file(b" hunter2 \n", 0o600).0.unwrap();
        assert_eq!((secret.expose(), warning), (" hunter2 ", None));
    }

    #[test]
    fn a_file_that_others_can_read_is_warned_of() {
        let (result, _folder) = from_file(b"hunter2", 0o640);
        let warning = result.unwrap().1.unwrap();
        assert!(warning.contains("has mode 0640, so others can read it; chmod 600 it"), "{warning}");
        assert!(!warning.contains("hunter2"));
    }

    #[test]
    fn a_secret_that_is_not_there_says_what_to_do() {
        let error =
            login("password: { file: gone }").unwrap().password.resolve(Path::new("/nowhere")).unwrap_err();
        assert_snapshot!(error, @r#"the secret in "/nowhere/gone" cannot be read (No such file or directory (os error 2)); check that the file is there and that Roster may read it"#);
        assert!(matches!(from_file(b"\n", 0o600).0, Err(SecretError::Empty(_))));
        assert!(matches!(from_file(b"\xff", 0o600).0, Err(SecretError::NotText(_))));
        assert_snapshot!(login("password: ${NONE}").unwrap_err(), @r"
        x.yaml:1:11: `password` comes from ${NONE}, which is not set; export it, write ${NONE:-default}, or use `{ file: … }`
        1 error; nothing was applied
        ");
    }

    #[test]
    fn only_the_name_of_a_secret_is_written_out() {
        let written = |secret: Secret| serde_json::to_string(&secret).map_err(|error| error.to_string());
        assert_eq!(written(Secret::Text("${PW}".to_owned().into())).unwrap(), r#""${PW}""#);
        assert_eq!(written(Secret::File(SecretFile { file: "pw".into() })).unwrap(), r#"{"file":"pw"}"#);
        let error = written(Secret::Text("hunter2".to_owned().into())).unwrap_err();
        assert_eq!(error, "a secret is not written out; name a variable or a file instead");
    }

    #[test]
    fn a_secret_is_in_no_output() {
        let login_as = login("password: hunter2").unwrap();
        let (secret, _) = login_as.password.resolve(Path::new("/")).unwrap();
        let wrong = login("password: [hunter2]\nword: hunter2").unwrap_err();
        let document = Document::parse("x.yaml", "password: hunter2", &BTreeMap::new()).unwrap();
        for shown in [
            format!("{login_as:?} {document:?}"),
            format!("{secret} {secret:?}"),
            format!("{wrong} {wrong:?}"),
        ] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_snapshot!(wrong, @r"
        x.yaml:1:11: `password` wants a text or a mapping with the key `file`, found a list
        x.yaml:2:1: unknown key `word` at the top of the file; known here: `password`
        2 errors; nothing was applied
        ");
    }
}
