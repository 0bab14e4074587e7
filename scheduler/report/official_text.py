"""The official block in words, the same in terminal and Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from scheduler.base.text import counted
from scheduler.report.figures import NOTHING
from scheduler.report.model import Official

MAX_MAIN = 12
_HASH = re.compile(r"[0-9a-f]{40,64}")

Show = Callable[[object, int], str]
"""Makes a text from data safe for where it is shown, and shortens it."""


def number_text(value: float | None) -> str:
    """Four significant digits, as benchmarks of any scale need them; a dash for None."""
    if value is None:
        return NOTHING
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value + 0.0:#.4g}".rstrip(".")


def number_interval_text(interval: tuple[float, float] | None) -> str:
    """``[low, high]``."""
    return NOTHING if interval is None else f"[{number_text(interval[0])}, {number_text(interval[1])}]"


def main_numbers(main: str | None, names: Iterable[str]) -> list[str]:
    """The names of the main number and of those beside it: with ``full/en/O`` all that begin with ``full/en/``."""
    if main is None:
        return []
    parent = main.rpartition("/")[0]
    beside = [name for name in names if name.rpartition("/")[0] == parent]
    return list(dict.fromkeys((main, *beside)))[:MAX_MAIN]


def summary_lines(official: Official, show: Show) -> Iterator[str]:
    """The block for a terminal: the main numbers, whether they can be compared, and why not."""
    yield f"Official numbers ({show(official.protocol, 100)}, version {show(_short(official.version), 100)}):"
    names = main_numbers(official.main, official.numbers)
    width = max((len(show(name, 60)) for name in names), default=0)
    for name in names:
        value = number_text(official.numbers.get(name))
        interval = official.intervals.get(name)
        beside = f"  95% interval {number_interval_text(interval)}" if interval else ""
        yield f"   {show(name, 60).ljust(width)}  {value}{beside}"
    if more := len(official.numbers) - len(names):
        yield f"   and {counted(more, 'more number')} in the reports"
    yield comparable_text(official)
    yield from (f"   - {show(sentence, 500)}" for sentence in official.deviations)


def _short(version: str) -> str:
    """A commit or a hash by its first digits."""
    return version[:12] if _HASH.fullmatch(version) else version


def comparable_text(official: Official) -> str:
    """Whether the numbers can be compared with published ones."""
    return f"Comparable with published numbers: {'yes' if official.comparable else 'no'}"


def judge_text(official: Official, show: Show) -> str:
    """``gpt-4.1 (openai; temperature 0)``."""
    judge = official.judge
    settings = [f"{name} {json.dumps(value, ensure_ascii=False)}" for name, value in judge.parameters.items()]
    return f"{show(judge.model or judge.type, 200)} ({show('; '.join([judge.type, *settings]), 300)})"


def answered_text(official: Official, show: Show) -> str:
    """``gpt-4.1-2025-04-14 (fp_1): 128 answers``, for each model that answered."""
    parts = []
    for answered in official.judge.answered:
        fingerprint = f" ({show(answered.system_fingerprint, 100)})" if answered.system_fingerprint else ""
        model = show(answered.model, 200) if answered.model else "a model without a name"
        parts.append(f"{model}{fingerprint}: {counted(answered.num_answers, 'answer')}")
    return ", ".join(parts)
