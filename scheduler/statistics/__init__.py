"""Statistics of scores: descriptions, intervals, correlations, variance."""
