//! Integration tests: URLs, the contract that every transport keeps, and what is particular to each.

#[cfg(not(all(feature = "tcp", unix, feature = "unix")))]
mod absent;
#[cfg(any(feature = "tcp", all(unix, feature = "unix")))]
mod contract;
mod errors;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(all(unix, feature = "unix"))]
mod unix;
mod url;
