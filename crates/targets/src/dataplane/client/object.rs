//! The API's objects. Each keeps every field that was read, so that writing it back loses none of those that Roster does not
//! know: a `PUT` removes what is absent.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

/// JSON that is no such object.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("an object {kind:?} has no text in `{key}`")]
pub struct WrongObject {
    kind: &'static str,
    key: &'static str,
}

/// An object with the field that names it; that one is not among the others.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $key:literal, $get:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
        #[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
        pub struct $name {
            key: Box<str>,
            fields: Map<String, Value>,
        }

        impl $name {
            /// One with nothing else set.
            pub fn new(key: impl Into<Box<str>>) -> Self {
                Self { key: key.into(), fields: Map::new() }
            }

            #[doc = concat!("`", $key, "`")]
            pub fn $get(&self) -> &str {
                &self.key
            }

            /// A field, as the API's specification names it.
            pub fn get(&self, field: &str) -> Option<&Value> {
                self.fields.get(field)
            }

            #[doc = concat!("Sets a field. `", $key, "` is none: see [`new`](Self::new).")]
            pub fn set(&mut self, field: impl Into<String>, value: impl Into<Value>) -> &mut Self {
                let field = field.into();
                if field != $key {
                    self.fields.insert(field, value.into());
                }
                self
            }

            /// Removes a field: HAProxy's default counts again.
            pub fn unset(&mut self, field: &str) -> &mut Self {
                self.fields.remove(field);
                self
            }

            /// A field that is a text.
            pub fn text(&self, field: &str) -> Option<&str> {
                self.fields.get(field).and_then(Value::as_str)
            }
        }

        impl TryFrom<Map<String, Value>> for $name {
            type Error = WrongObject;
            fn try_from(mut fields: Map<String, Value>) -> Result<Self, WrongObject> {
                let wrong = WrongObject { kind: $kind, key: $key };
                let Some(Value::String(key)) = fields.remove($key) else { return Err(wrong) };
                Ok(Self { key: key.into(), fields })
            }
        }

        impl From<$name> for Map<String, Value> {
            fn from(object: $name) -> Self {
                let mut fields = object.fields;
                fields.insert($key.to_owned(), Value::String(object.key.into()));
                fields
            }
        }
    };
}

object! {
    /// A server of HAProxy's file, by the fields of the specification's `server`.
    Server, "server", "name", name
}

object! {
    /// A backend, by the fields of `backend`. Its servers and checks are not among them.
    Backend, "backend", "name", name
}

object! {
    /// A line `http-check`, by the fields of `http_check`: `type` is `connect`, `send`, `expect` and so on.
    HttpCheck, "http-check", "type", kind
}

impl Server {
    /// The address, or a host name.
    pub fn address(&self) -> Option<&str> {
        self.text("address")
    }

    /// The port; without one, that of the connection's destination.
    pub fn port(&self) -> Option<u16> {
        number(&self.fields, "port")
    }

    /// The weight, 0 to 256; without one it is 1.
    pub fn weight(&self) -> Option<u16> {
        number(&self.fields, "weight")
    }

    /// The cookie's value.
    pub fn cookie(&self) -> Option<&str> {
        self.text("cookie")
    }

    /// Whether it starts in maintenance.
    pub fn maintenance(&self) -> Option<bool> {
        switch(&self.fields, "maintenance")
    }

    /// Whether HAProxy checks it.
    pub fn check(&self) -> Option<bool> {
        switch(&self.fields, "check")
    }

    /// Whether it serves only when no other does.
    pub fn backup(&self) -> Option<bool> {
        switch(&self.fields, "backup")
    }

    /// Sets the address.
    pub fn set_address(&mut self, address: &str) -> &mut Self {
        self.set("address", address)
    }

    /// Sets the port, which is not 0.
    pub fn set_port(&mut self, port: u16) -> &mut Self {
        self.set("port", port)
    }

    /// Sets the weight, 0 to 256.
    pub fn set_weight(&mut self, weight: u16) -> &mut Self {
        self.set("weight", weight)
    }

    /// Sets the cookie's value.
    pub fn set_cookie(&mut self, cookie: &str) -> &mut Self {
        self.set("cookie", cookie)
    }

    /// Sets whether it starts in maintenance.
    pub fn set_maintenance(&mut self, on: bool) -> &mut Self {
        self.set("maintenance", word(on))
    }

    /// Sets whether HAProxy checks it.
    pub fn set_check(&mut self, on: bool) -> &mut Self {
        self.set("check", word(on))
    }

    /// Sets whether it serves only when no other does.
    pub fn set_backup(&mut self, on: bool) -> &mut Self {
        self.set("backup", word(on))
    }
}

impl Backend {
    /// `http`, `tcp` or `log`.
    pub fn mode(&self) -> Option<&str> {
        self.text("mode")
    }

    /// The algorithm of `balance`.
    pub fn balance(&self) -> Option<&str> {
        self.get("balance").and_then(|balance| balance.get("algorithm")).and_then(Value::as_str)
    }

    /// True if it has `default-server`: then 3.2 adds no server without a reload.
    pub fn has_default_server(&self) -> bool {
        self.get("default_server").is_some_and(|value| !value.is_null())
    }
}

fn number(fields: &Map<String, Value>, field: &str) -> Option<u16> {
    fields.get(field).and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok())
}

/// The API writes switches as words; a boolean is refused.
fn switch(fields: &Map<String, Value>, field: &str) -> Option<bool> {
    match fields.get(field).and_then(Value::as_str) {
        Some("enabled") => Some(true),
        Some("disabled") => Some(false),
        _ => None,
    }
}

fn word(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_read_is_written_back_with_every_field() {
        let read = json!({"name": "s1", "address": "127.0.0.1", "port": 80, "weight": 7, "check": "enabled",
            "agent-check": "disabled", "metadata": {"comment": "note"}, "of_the_future": [1, null]});
        let mut server: Server = serde_json::from_value(read.clone()).unwrap();
        assert_eq!((server.name(), server.address(), server.port()), ("s1", Some("127.0.0.1"), Some(80)));
        assert_eq!((server.weight(), server.check(), server.backup()), (Some(7), Some(true), None));
        assert_eq!(serde_json::to_value(&server).unwrap(), read);
        server.set_weight(9).set_backup(true).unset("check").set("name", 7);
        let mut wanted = read;
        wanted["weight"] = json!(9);
        wanted["backup"] = json!("enabled");
        wanted.as_object_mut().unwrap().remove("check");
        assert_eq!(serde_json::to_value(&server).unwrap(), wanted);
    }

    #[test]
    fn an_object_without_its_name_is_none() {
        for wrong in [json!({"address": "127.0.0.1"}), json!({"name": 7}), json!([]), json!("s1")] {
            assert!(serde_json::from_value::<Server>(wrong).is_err());
        }
        let error = serde_json::from_value::<HttpCheck>(json!({"name": "x"})).unwrap_err().to_string();
        assert_eq!(error, "an object \"http-check\" has no text in `type`");
    }

    #[test]
    fn a_number_that_does_not_fit_is_none() {
        let server: Server =
            serde_json::from_value(json!({"name": "s", "port": 70000, "weight": -1})).unwrap();
        assert_eq!((server.port(), server.weight()), (None, None));
    }
}
