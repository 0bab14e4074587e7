"""``warmbench compare``: what differs between runs of the same pairs, pair by pair."""
