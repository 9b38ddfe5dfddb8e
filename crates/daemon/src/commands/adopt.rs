//! `roster adopt`: take a server back from whoever changed it by hand.

use super::order::order;
use crate::cli::AdoptArgs;
use crate::exit::{Exit, Failure};
use crate::orders::Want;

/// Takes a server back: Roster brings it to what its source says.
pub(crate) async fn adopt(args: &AdoptArgs) -> Result<Exit, Failure> {
    let (backend, server) = args.what.clone();
    order(&args.common, args.which.target.as_ref(), &Want::Adopt { backend, server }).await
}
