"""The benchmark: pairs of a source image and an edit instruction."""

from scheduler.benchmark.load import load_benchmark
from scheduler.benchmark.pairs import BadKind, BadPair, Benchmark, DataError, Pair, PairError, SourceImage

__all__ = ["BadKind", "BadPair", "Benchmark", "DataError", "Pair", "PairError", "SourceImage", "load_benchmark"]
