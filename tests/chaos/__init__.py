"""Runs that are disturbed on purpose, and the proof that nothing was lost, done twice or mixed up."""
