"""Models behind a server: connection, pacing, replies, and the keys that they share."""
