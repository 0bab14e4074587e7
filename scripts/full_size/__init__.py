"""Measures the real architectures on a GPU, at their full size with random weights, without any download."""
