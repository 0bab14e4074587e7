"""The models that score edits, and how their answers are read."""
