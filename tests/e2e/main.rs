//! The end-to-end tests, a module a subject.
//!
//! `cargo xtask test` installs the programs they run and runs them;
//! `cargo test -p wsgate-tests --test e2e <words of a name>` runs some of them.

mod close_codes;
mod harness;
mod upgrade;
