"""Checks of a config against this machine: models, classes, environments, packages."""
