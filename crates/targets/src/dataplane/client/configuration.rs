//! The objects of HAProxy's file, one by one: in a transaction, or at once with a version.
//!
//! The two versions of the API differ in where a parent stands (parameters or path), and in where the index of a line stands:
//! version 2 has it in the object, version 3 in the path. Here it is an argument.

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::ClientError;
use super::object::{Backend, HttpCheck, Server};
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
}

const SERVERS: &str = "servers";
const BACKENDS: Place<'static> = Place::Top("backends");

impl Place<'_> {
    fn route(self, api: ApiVersion) -> Route {
        let root = services(api).at("configuration");
        match (self, api) {
            (Self::Top(kind), _) => root.at(kind),
            (Self::Backend(parent, kind), ApiVersion::V3) => root.at("backends").at(parent).at(kind),
            (Self::Backend(parent, kind), ApiVersion::V2) => {
                root.at(kind).with("parent_type", "backend").with("parent_name", parent)
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

    /// One backend.
    pub async fn backend(&self, name: &str, view: View<'_>) -> Result<Versioned<Backend>, ClientError> {
        self.one(BACKENDS, name, view).await
    }

    /// Adds a backend.
    pub async fn add_backend(&self, backend: &Backend, write: Write<'_>) -> Result<Outcome, ClientError> {
        self.post(BACKENDS, backend, write).await
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

    async fn list<T: DeserializeOwned>(
        &self,
        place: Place<'_>,
        view: View<'_>,
    ) -> Result<Versioned<Vec<T>>, ClientError> {
        let api = self.api().await?;
        let reply = self.ask(Question::get(view.of(place.route(api)))).await?;
        // Without any element, Go may write `null`.
        self.read_versioned(&reply, |answer| Ok(answer.data::<Option<Vec<T>>>(api)?.unwrap_or_default()))
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
}
