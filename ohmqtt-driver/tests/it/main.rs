//! Facts about the driver: two sessions over streams of every kind, a clock of the test's own, stores that work and stores that fail.

mod closing;
mod holding_back;
mod keeping_alive;
mod pressure;
mod resting;
mod sleeping;
mod storing;
mod streams;
mod support;
