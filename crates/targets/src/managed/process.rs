//! HAProxy as a process: started, followed, reloaded, ended.
