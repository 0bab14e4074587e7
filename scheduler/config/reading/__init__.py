"""Reads YAML safely and keeps the place of every key."""
