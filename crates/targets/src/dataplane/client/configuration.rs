//! The objects of HAProxy's file, one by one: in a transaction, or at once with a version.
//!
//! The two versions of the API differ in where a parent stands (parameters or path) and in lists: version 2 has each
//! element's `index` in it, version 3 has it in the path. Here a list is in its order and an index is an argument.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::answer::Answer;
use super::error::{ClientError, Why};
use super::object::{Acl, Backend, Frontend, HttpCheck, Server, SwitchingRule};
use super::settings::ApiVersion;
use super::transport::{Question, Route};
use super::{Client, Outcome, Versioned, View, Write, services};

/// Where objects of a kind stand.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// By themselves.
    Top(&'static str),
    /// Within a backend.
    Backend(&'a str, &'static str),
    /// Within a frontend.
    Frontend(&'a str, &'static str),
}

const SERVERS: &str = "servers";
const BACKENDS: Place<'static> = Place::Top("backends");
const FRONTENDS: Place<'static> = Place::Top("frontends");
const RULES: &str = "backend_switching_rules";

impl Place<'_> {
    fn route(self, api: ApiVersion) -> Route {
        let root = services(api).at("configuration");
        match (self, api) {
            (Self::Top(kind), _) => root.at(kind),
            (Self::Backend(parent, kind), ApiVersion::V3) => root.at("backends").at(parent).at(kind),
            (Self::Frontend(parent, kind), ApiVersion::V3) => root.at("frontends").at(parent).at(kind),
            (Self::Frontend(parent, RULES), ApiVersion::V2) => root.at(RULES).with("frontend", parent),
            (Self::Backend(parent, kind), ApiVersion::V2) => {
                root.at(kind).with("parent_type", "backend").with("parent_name", parent)
            }
            (Self::Frontend(parent, kind), ApiVersion::V2) => {
                root.at(kind).with("parent_type", "frontend").with("parent_name", parent)
            }
        }
    }
}

impl Client {
    /// The servers of a backend; none if there is no such backend.
    pub async fn servers(
        &self,
        backend: &str,
        view: View<'_>,
    ) -> Result<Versioned<Vec<Server>>, ClientError> {
        self.list(Place::Backend(backend, SERVERS), view).await
    }

    /// One server.
    pub async fn server(
        &self,
        backend: &str,
        name: &str,
        view: View<'_>,
    ) -> Result<Versioned<Server>, ClientError> {
        self.one(Place::Backend(backend, SERVERS), name, view).await
    }

    /// Adds a server. 3.2 does so live where there is no `default-server`, but in maintenance, with its checks off and
    /// without its cookie; 2.9 reloads.
    pub async fn add_server(
        &self,
        backend: &str,
        server: &Server,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.post(Place::Backend(backend, SERVERS), server, write).await
    }

    /// Puts a server in the place of the one of this name; with another name it is renamed. Weight, address, port,
    /// maintenance and the port of the checks go live, all else reloads. The API compares with the file, not with the
    /// process: what differs there alone is not mended.
    pub async fn replace_server(
        &self,
        backend: &str,
        name: &str,
        server: &Server,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.put(Place::Backend(backend, SERVERS), name, server, write).await
    }

    /// Deletes a server, with a reload.
    pub async fn delete_server(
        &self,
        backend: &str,
        name: &str,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.delete(Place::Backend(backend, SERVERS), name, write).await
    }

    /// All backends.
    pub async fn backends(&self, view: View<'_>) -> Result<Versioned<Vec<Backend>>, ClientError> {
        self.list(BACKENDS, view).await
    }

    /// One backend.
    pub async fn backend(&self, name: &str, view: View<'_>) -> Result<Versioned<Backend>, ClientError> {
        self.one(BACKENDS, name, view).await
    }

    /// Adds a backend.
    pub async fn add_backend(&self, backend: &Backend, write: Write<'_>) -> Result<Outcome, ClientError> {
        self.post(BACKENDS, backend, write).await
    }

    /// Puts a backend in the place of the one of its name. Its servers and its lines `http-check` stay.
    pub async fn replace_backend(&self, backend: &Backend, write: Write<'_>) -> Result<Outcome, ClientError> {
        // With another name the API says yes and renames nothing.
        self.put(BACKENDS, backend.name(), backend, write).await
    }

    /// Deletes a backend. That a frontend still names it shows only at the commit.
    pub async fn delete_backend(&self, name: &str, write: Write<'_>) -> Result<Outcome, ClientError> {
        self.delete(BACKENDS, name, write).await
    }

    /// The lines `http-check` of a backend, in their order.
    pub async fn http_checks(
        &self,
        backend: &str,
        view: View<'_>,
    ) -> Result<Versioned<Vec<HttpCheck>>, ClientError> {
        self.list(Place::Backend(backend, "http_checks"), view).await
    }

    /// Inserts a line `http-check` at this place; the later ones move up.
    pub async fn insert_http_check(
        &self,
        backend: &str,
        index: usize,
        check: &HttpCheck,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.insert(Place::Backend(backend, "http_checks"), index, check, write).await
    }

    /// Deletes the line `http-check` at this place; the later ones move down.
    pub async fn delete_http_check(
        &self,
        backend: &str,
        index: usize,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.delete(Place::Backend(backend, "http_checks"), &index.to_string(), write).await
    }

    /// All frontends.
    pub async fn frontends(&self, view: View<'_>) -> Result<Versioned<Vec<Frontend>>, ClientError> {
        self.list(FRONTENDS, view).await
    }

    /// One frontend.
    pub async fn frontend(&self, name: &str, view: View<'_>) -> Result<Versioned<Frontend>, ClientError> {
        self.one(FRONTENDS, name, view).await
    }

    /// The ACLs of a frontend, in their order.
    pub async fn acls(&self, frontend: &str, view: View<'_>) -> Result<Versioned<Vec<Acl>>, ClientError> {
        self.list(Place::Frontend(frontend, "acls"), view).await
    }

    /// Inserts an ACL at this place; the later ones move up. A second one of the same name is another alternative.
    pub async fn insert_acl(
        &self,
        frontend: &str,
        index: usize,
        acl: &Acl,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.insert(Place::Frontend(frontend, "acls"), index, acl, write).await
    }

    /// Deletes the ACL at this place; the later ones move down.
    pub async fn delete_acl(
        &self,
        frontend: &str,
        index: usize,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.delete(Place::Frontend(frontend, "acls"), &index.to_string(), write).await
    }

    /// The lines `use_backend` of a frontend, in their order.
    pub async fn switching_rules(
        &self,
        frontend: &str,
        view: View<'_>,
    ) -> Result<Versioned<Vec<SwitchingRule>>, ClientError> {
        self.list(Place::Frontend(frontend, RULES), view).await
    }

    /// Inserts a line `use_backend` at this place; the later ones move up.
    pub async fn insert_switching_rule(
        &self,
        frontend: &str,
        index: usize,
        rule: &SwitchingRule,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.insert(Place::Frontend(frontend, RULES), index, rule, write).await
    }

    /// Deletes the line `use_backend` at this place; the later ones move down.
    pub async fn delete_switching_rule(
        &self,
        frontend: &str,
        index: usize,
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        self.delete(Place::Frontend(frontend, RULES), &index.to_string(), write).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        place: Place<'_>,
        view: View<'_>,
    ) -> Result<Versioned<Vec<T>>, ClientError> {
        let api = self.api().await?;
        let reply = self.ask(Question::get(view.of(place.route(api)))).await?;
        self.read_versioned(&reply, |answer| in_order(answer, api))
    }

    async fn one<T: DeserializeOwned>(
        &self,
        place: Place<'_>,
        name: &str,
        view: View<'_>,
    ) -> Result<Versioned<T>, ClientError> {
        let api = self.api().await?;
        let reply = self.ask(Question::get(view.of(place.route(api).at(name)))).await?;
        self.read_versioned(&reply, |answer| answer.data(api))
    }

    async fn post(
        &self,
        place: Place<'_>,
        object: &(impl Clone + Into<Map<String, Value>>),
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        let route = write.by(place.route(self.api().await?));
        let question = Question::new(Method::POST, route).json(&Value::Object(object.clone().into()));
        self.outcome(&self.ask(question).await?, write)
    }

    async fn insert(
        &self,
        place: Place<'_>,
        index: usize,
        object: &(impl Clone + Into<Map<String, Value>>),
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        let api = self.api().await?;
        let mut route = write.by(place.route(api));
        let mut fields = object.clone().into();
        match api {
            ApiVersion::V2 => {
                fields.insert("index".to_owned(), index.into());
            }
            ApiVersion::V3 => route = route.at(index.to_string()),
        }
        let question = Question::new(Method::POST, route).json(&Value::Object(fields));
        self.outcome(&self.ask(question).await?, write)
    }

    async fn put(
        &self,
        place: Place<'_>,
        name: &str,
        object: &(impl Clone + Into<Map<String, Value>>),
        write: Write<'_>,
    ) -> Result<Outcome, ClientError> {
        let route = write.by(place.route(self.api().await?).at(name));
        let question = Question::new(Method::PUT, route).json(&Value::Object(object.clone().into()));
        self.outcome(&self.ask(question).await?, write)
    }

    async fn delete(&self, place: Place<'_>, name: &str, write: Write<'_>) -> Result<Outcome, ClientError> {
        let route = write.by(place.route(self.api().await?).at(name));
        self.outcome(&self.ask(Question::new(Method::DELETE, route)).await?, write)
    }
}

/// A list in its order, without the `index` of version 2. Without any element, Go may write `null`.
fn in_order<T: DeserializeOwned>(answer: &Answer, api: ApiVersion) -> Result<Vec<T>, Why> {
    let list: Option<Vec<Map<String, Value>>> = answer.data(api)?;
    let mut list = list.unwrap_or_default();
    if api == ApiVersion::V2 {
        let index = |object: &Map<String, Value>| object.get("index").and_then(Value::as_u64);
        list.sort_by_key(index);
        for object in &mut list {
            object.remove("index");
        }
    }
    let parsed = list.into_iter().map(|object| serde_json::from_value(Value::Object(object)));
    parsed.collect::<Result<_, _>>().map_err(|error| Why::Unexpected { what: error.to_string() })
}
