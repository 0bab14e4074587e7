"""Shows what the moves of weights cost two workers of one machine."""
