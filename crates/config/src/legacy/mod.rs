//! Configurations of the programs that Roster stands in for, read unchanged and said in Roster's own words.

pub mod cloud_discovery;
