//! Making a few servers ready, each by a call of its own.
//!
//! Such a call takes 0.5 to 2 ms, and a write of the file 25 ms and more, since HAProxy checks the whole file within it. The
//! file is behind then: it says `disabled` until Roster has it follow. So only servers that come are made ready so. If
//! HAProxy is reloaded before the file follows, they start in maintenance, and nothing is sent to a wrong address.

use roster_core::plan::{Change, Operation};
use roster_haproxy::observed::State;

use super::client::{AdminState, Client, ClientError, Why};
use super::write::{Wrote, refused};

/// How many servers are made ready one by one: with 1,000 in the backend more calls take as long as a write of the file. They
/// go one after the other, because the API itself does.
const FEW: usize = 10;

/// Whether all there is to do is to make a few servers ready.
pub(super) fn is_all(operations: &[Operation]) -> bool {
    let is_ready = |operation: &Operation| operation.change == Change::State(State::Ready);
    (1..=FEW).contains(&operations.len()) && operations.iter().all(is_ready)
}

/// Makes these servers ready.
pub(super) async fn make(client: &Client, operations: &[Operation]) -> Result<Wrote, ClientError> {
    let mut wrote = Wrote::default();
    for (place, operation) in operations.iter().enumerate() {
        let (backend, server) = (operation.backend.as_str(), operation.server.as_str());
        match client.set_admin_state(backend, server, AdminState::Ready).await {
            Ok(_) => wrote.commands += 1,
            Err(ClientError { why: why @ Why::NotRunning { .. }, .. }) => {
                wrote.refused.push(refused(place, why.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(wrote)
}
