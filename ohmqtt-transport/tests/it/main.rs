//! Integration tests: URLs, the contract that every transport keeps, and what is particular to each.

#[cfg(feature = "tcp")]
mod contract;
mod errors;
#[cfg(feature = "tcp")]
mod tcp;
mod url;
