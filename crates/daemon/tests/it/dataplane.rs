//! End to end: a HAProxy that is kept through its Data Plane API, by the API alone and with HAProxy's own socket too.

mod keeps;
mod reloads;
mod restarts;
mod site;
mod trouble;
