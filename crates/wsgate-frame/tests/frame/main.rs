//! The laws that frames obey, checked with examples, with generated input, and (the same functions,
//! see `fuzz/`) with whatever a fuzzer comes up with.

mod generate;
mod laws;
mod properties;
mod tracker;
