//! Integration tests: the contract that every store keeps, records as bytes, and the writer.

mod contract;
mod gated;
mod memory;
mod records;
mod writer;
mod writer_faults;
