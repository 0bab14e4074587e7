"""Statistics of scores: descriptions, intervals, correlations, parts of the variance."""
