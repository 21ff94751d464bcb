"""Programs to start from: `python -m examples.publish` runs the one of that name."""
