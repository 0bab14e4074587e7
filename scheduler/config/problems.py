"""Problems of a config: each names its key, what is wrong, and how to correct it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from scheduler.base.text import counted, one_line

Location = tuple[str | int, ...]
"""Where something is in a document: ``("benchmark", "categories", 0)``."""

_LONGEST_VALUE = 80
_LONGEST_KEY = 100


class Problem(Struct, frozen=True):
    """One mistake. ``path`` is the full key with dots; ``hint`` says what to do, if that is known; ``option`` is the
    option of the command line that gave the value.
    """

    path: str
    message: str
    hint: str | None = None
    option: str | None = None

    @property
    def place(self) -> str:
        """Where its author finds the value: ``benchmark.limit``, or ``--limit (benchmark.limit)``."""
        return f"{self.option} ({self.path})" if self.option and self.option != self.path else self.path

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" + (f" - {self.hint}" if self.hint else "")


class ConfigError(Exception):
    """A config with problems; ``str()`` is the text for the terminal."""

    def __init__(self, problems: Iterable[Problem], file: Path | None = None) -> None:
        self.problems = tuple(problems)
        self.file = file
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = counted(len(self.problems), "problem")
        head = str(self.file or "config")
        if options := sum(problem.option is not None for problem in self.problems):
            head = "command line" if options == len(self.problems) else f"{head} and command line"
        lines = [f"{head}: {count}"]
        for problem in self.problems:
            lines.append(f"  {problem.place}: {problem.message}" if problem.path else f"  {problem.message}")
            if problem.hint:
                lines.append(f"      {problem.hint}")
        return "\n".join(lines)


def dotted(location: Location) -> str:
    """The key's full path: ``benchmark.categories[0]``."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + printable(part)
    return text


def printable(text: str, longest: int = _LONGEST_KEY) -> str:
    """The text on one line, cut if it is long; control characters are shown as escapes."""
    return one_line(text, longest)


def shown(value: object) -> str:
    """A value of a config as its author would write it, cut if it is long."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{printable(value, _LONGEST_VALUE)}'"
    if isinstance(value, dict):
        return f"a mapping with {counted(len(value), 'key')}"
    if isinstance(value, (list, tuple)):
        whole = "[" + ", ".join(shown(item) for item in value[:9]) + (", ..." if len(value) > 9 else "") + "]"
        return whole if len(whole) <= _LONGEST_VALUE else f"a list of {len(value)}"
    return printable(str(value), _LONGEST_VALUE)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The most similar known word, if there is one; case and dashes do not count."""
    plain = {_plain(candidate): candidate for candidate in known}
    close = difflib.get_close_matches(_plain(word[:_LONGEST_KEY]), plain, n=1, cutoff=0.6)
    if close:
        return plain[close[0]]
    part = _plain(word)
    longer = [candidate for candidate in plain if len(part) > 2 and part in candidate]
    return plain[longer[0]] if len(longer) == 1 else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The nearest known word as a question."""
    close = nearest(word, known)
    return f"did you mean `{close}`?" if close else None


def listing(words: Sequence[str]) -> str:
    """Words as a list for a sentence, cut if it is long."""
    cut = [printable(word) for word in words[:40]]
    return ", ".join(cut) + (f" and {len(words) - 40} more" if len(words) > 40 else "")


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")
