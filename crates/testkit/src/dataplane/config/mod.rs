//! HAProxy's file as the API sees it: text, sections, and the objects that its endpoints show.

mod fields;
mod lists;
mod order;
mod params;
mod sections;
mod text;

pub(super) use lists::{Indexed, Named, bind, bind_body, bind_line};
pub(super) use params::ServerLine;
pub(super) use sections::Proxy;
pub(super) use text::{Config, Line, Section, checksum, is_own, version_line};
