"""Measures the real architectures on a GPU, at full size with random weights, without downloads."""
