//! Roster's native configuration: YAML with positions, environment, schema.
