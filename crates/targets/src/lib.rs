//! What Roster keeps: the Target trait and one folder for each way to reach HAProxy.
