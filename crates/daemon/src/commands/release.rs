//! `roster release`: let what a guard holds back go through.

use super::order::order;
use crate::cli::ReleaseArgs;
use crate::exit::{Exit, Failure};
use crate::orders::Want;

/// Lets what a guard holds back in a backend go through, once.
pub(crate) async fn release(args: &ReleaseArgs) -> Result<Exit, Failure> {
    let want = Want::Release { backend: args.backend.clone() };
    order(&args.common, args.which.target.as_ref(), &want).await
}
