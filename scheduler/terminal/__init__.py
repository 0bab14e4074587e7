"""What a run shows on the terminal, and its log."""
