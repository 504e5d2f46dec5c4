//! The fuzz target `config`: any words as a command line. It stands here as the modules of a program can
//! be reached from beside them only; cargo knows of it by the manifest of `fuzz`.

#![no_main]
#![allow(
    dead_code,
    reason = "the program needs more of its modules than a fuzz target"
)]

mod app;
mod args;
mod files;
mod laws;
mod plan;
mod route;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| laws::a_plan_can_be_served(bytes));
