//! Keeps the servers in HAProxy backends equal to what clouds and registries say.
fn main() {}
