"""What a protocol is: the questions about an item, how a reply is read, the item's score, the benchmark's numbers.

All of it is pure: no files but the official ones that ``OfficialTexts`` has read, no clock, no chance. What the
authors' script would make up is ``UnreadableReply``. Where it is deterministic, it is followed, faults included, and a
known fault adds a corrected number and a sentence that says so.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct, structs

from protocol.messages import Question
from scheduler.protocols.official import OfficialFiles, OfficialTexts
from workers.models.plugins import Registry


class UnreadableReply(Exception):  # noqa: N818 - it is a finding about a reply, not an error of the program
    """The reply has no score that the authors' script would read without making one up."""


class UnsuitableItem(Exception):  # noqa: N818
    """The item lacks what the protocol needs; the message says what. It is a failure of kind ``bad_field``."""


class Dimension(Struct, frozen=True):
    """One named value that a reply gives, on the authors' scale."""

    name: str
    low: float
    high: float
    better: Literal["higher", "lower"] = "higher"


class Judge(Struct, frozen=True):
    """The judge that the authors prescribe.

    ``models`` are the names that count as it, the usual one first. ``parameters`` are keys of ``reward_model.params``
    with the prescribed values: defaults where the config does not set them, deviations where it sets others. A value
    of None means that the authors leave the parameter out of their requests.
    """

    models: tuple[str, ...]
    parameters: Mapping[str, Any] = {}


class ItemFacts(Struct, frozen=True):
    """What a protocol knows of an item: nothing that is not in the ledger too.

    ``images`` are the names of all its images: ``source``, ``source_2``, ..., ``reference``, ``ground_truth``,
    ``mask``. Of an item that is not ``loaded``, only its names are known for certain, and it may belong to any subset.
    """

    category: str
    pair_id: str
    instruction: str
    reference: str | None = None
    language: str | None = None
    task: str | None = None
    subsets: tuple[str, ...] = ()
    images: tuple[str, ...] = ("source",)
    facts: Mapping[str, Any] = {}
    loaded: bool = True


class JudgedItem(Struct, frozen=True):
    """An item after one judgement of one of its edits: the dimensions read so far, and its score.

    ``score`` is None if a dimension is missing, for whatever reason.
    """

    item: ItemFacts
    dimensions: Mapping[str, float]
    score: float | None


class Table(Struct, frozen=True):
    """The data as a whole, for rules that look at all of it, unselected items too.

    ``columns`` says how many of the ``items`` have each of the facts, ``kinds`` which kinds of values they have there,
    as ``Benchmark.kinds`` names them.
    """

    columns: Mapping[str, int]
    items: int
    format: str = ""
    kinds: Mapping[str, tuple[str, ...]] = {}


class Numbers(Struct, frozen=True):
    """The numbers of the benchmark.

    ``values`` has each number by the name that the authors give it, nested names joined with ``/``; None where it has
    no item, or a score in it is missing. ``main`` is the name of the one that is usually quoted. ``deviations`` are
    sentences about what these items make differ from the authors' own way.
    """

    values: Mapping[str, float | None]
    main: str
    deviations: tuple[str, ...] = ()


class Protocol(abc.ABC):
    """One benchmark's way of judging. Its methods are pure."""

    def __init__(self, table: Table, texts: OfficialTexts | None = None) -> None:
        """Without ``texts`` it has no questions, and can still read replies and add up."""
        self.table = table
        self._texts = texts

    @property
    def texts(self) -> OfficialTexts:
        """The official texts."""
        if self._texts is None:
            raise RuntimeError(f"{type(self).__name__} was made without the official files")
        return self._texts

    @abc.abstractmethod
    def questions(self, item: ItemFacts) -> Sequence[Question]:
        """Return the questions about an edit of this item, at least one; raises ``UnsuitableItem``."""

    @abc.abstractmethod
    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the questions, each with the dimensions that its reply gives. Needs no official texts."""

    @abc.abstractmethod
    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:
        """Return the dimensions that the reply gives; raises ``UnreadableReply``."""

    @abc.abstractmethod
    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:
        """Return the item's official score; ``dimensions`` has all that ``expected`` names."""

    @abc.abstractmethod
    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        """Return the benchmark's numbers for all items of a run, in the data's order."""


class ProtocolType(Struct, frozen=True):
    """What a protocol declares.

    ``formats`` are those of data that it can judge. ``items`` says how many items the full data has, by format, and by
    language where that differs (``gedit/en``). ``dimensions`` are all that its questions give; ``scale`` is the range
    of an item's score. ``judge`` is the prescribed one, ``judges`` are those of formats with another. ``official`` are
    the files that hold the prompts, ``commits`` those of ``official.tried`` that belong to a format, where it is not
    the first.
    """

    name: str
    meaning: str
    formats: tuple[str, ...]
    items: Mapping[str, int]
    dimensions: tuple[Dimension, ...]
    scale: tuple[float, float]
    judge: Judge
    official: OfficialFiles
    make: type[Protocol]
    aliases: tuple[str, ...] = ()
    judges: Mapping[str, Judge] = {}
    commits: Mapping[str, str] = {}

    def judge_of(self, format_name: str) -> Judge:
        """Return the judge that the authors prescribe for data of this format."""
        return self.judges.get(format_name, self.judge)

    def official_of(self, format_name: str) -> OfficialFiles:
        """Return the official files, with the version that belongs to data of this format as the one to clone."""
        first = self.commits.get(format_name)
        tried = self.official.tried
        return self.official if first is None else structs.replace(self.official, tried={first: tried[first], **tried})


PROTOCOLS = Registry(
    "warmbench.protocols",
    ProtocolType,
    {
        "gedit": "scheduler.protocols.gedit:PROTOCOL",
        "imgedit": "scheduler.protocols.imgedit:PROTOCOL",
        "imgedit_uge": "scheduler.protocols.imgedit_uge:PROTOCOL",
        "kris": "scheduler.protocols.kris:PROTOCOL",
        "risebench": "scheduler.protocols.risebench:PROTOCOL",
        "unicbench": "scheduler.protocols.unicbench:PROTOCOL",
    },
)
"""Every protocol by its name."""
