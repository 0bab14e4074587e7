"""The two stages of a run: what is to be done, who does it, and what it cost."""
