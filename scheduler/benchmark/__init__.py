"""The benchmark: pairs of a source image and an edit instruction, from the JSON or the RISEBench format."""

from scheduler.benchmark.load import load_benchmark
from scheduler.benchmark.model import BadKind, BadPair, Benchmark, DataError, Pair, PairError, Source

__all__ = ["BadKind", "BadPair", "Benchmark", "DataError", "Pair", "PairError", "Source", "load_benchmark"]
