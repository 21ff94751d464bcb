//! What survives a crash: ordered keys and bytes, written in groups.
