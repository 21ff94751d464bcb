"""The clients that are measured, a module each, with `publish(work)` and `receive(work)`."""
