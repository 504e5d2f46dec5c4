//! The laws, as plain functions: they take any bytes, and panic when a law is broken.

pub(crate) mod close;
pub(crate) mod control;
pub(crate) mod header;
pub(crate) mod model;
pub(crate) mod tracker;
