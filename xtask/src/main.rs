//! Everything continuous integration does.

fn main() {}
