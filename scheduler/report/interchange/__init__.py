"""A run's numbers in the formats in which results are published: one file per format."""

from __future__ import annotations

from scheduler.report.interchange.eval_results import eval_results
from scheduler.report.interchange.every_eval_ever import every_eval_ever
from scheduler.report.interchange.facts import Facts, ResultsFile, UnsuitableRunError

RESULTS = {"eval_results": eval_results, "every_eval_ever": every_eval_ever}

__all__ = ["RESULTS", "Facts", "ResultsFile", "UnsuitableRunError"]
