"""Builds the tiny models of the demo and the tests: the real classes, a few thousand random weights, no download."""
