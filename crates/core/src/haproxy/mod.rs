//! What HAProxy says and what it is told: typed commands, parsed answers.
