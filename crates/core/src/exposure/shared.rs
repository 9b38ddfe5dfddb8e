//! A layout as it is stored: with each exposure that shares it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Layout;

#[allow(clippy::ref_option, reason = "serde gives the field as it is")]
pub(super) fn serialize<S: Serializer>(layout: &Option<Arc<Layout>>, to: S) -> Result<S::Ok, S::Error> {
    layout.as_deref().serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<Layout>>, D::Error> {
    Ok(Option::<Layout>::deserialize(from)?.map(Arc::new))
}
