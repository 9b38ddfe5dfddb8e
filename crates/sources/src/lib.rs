//! Where instances come from: the Source trait and one folder for each registry.
