"""A run, from the config to the exit code."""
