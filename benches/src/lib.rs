//! Benchmarks of ohmqtt, repeatable by a stranger.
