//! Groups of endpoints, as real processes.

mod processes;
