//! The pure heart of Roster: model, catalog, policy and planner.
