"""The editors that come with warmbench."""
