"""A small protocol for tests, as somebody else's package would bring it: two questions, three dimensions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from protocol.messages import ImagePart, Question, TextPart
from scheduler.benchmark.pairs import Benchmark
from scheduler.protocols.declaration import (
    Dimension,
    ItemFacts,
    Judge,
    JudgedItem,
    Numbers,
    Protocol,
    ProtocolType,
    UnreadableReply,
    UnsuitableItem,
)
from scheduler.protocols.official import OfficialFiles, OfficialTexts
from scheduler.protocols.prepared import PreparedProtocol, table_of

EXPECTED = {"edit": ("follows", "keeps"), "look": ("flaws",)}


class ExampleProtocol(Protocol):
    """``edit`` shows source and edit, ``look`` only the edit; both reply with a JSON object."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        if not item.instruction:
            raise UnsuitableItem("it has no instruction")
        text = self.texts.constant("prompts.py", "EDIT").replace("<instruction>", item.instruction)
        look = self.texts.constant("prompts.py", "LOOK")
        edit = ImagePart(image="edit")
        return (
            Question(name="edit", parts=[TextPart(text=text), ImagePart(image="source"), edit]),
            Question(name="look", parts=[TextPart(text=look), edit]),
        )

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:
        return EXPECTED

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:
        try:
            values = json.loads(reply)
            return {name: float(values[name]) for name in EXPECTED[question]}
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableReply(f"expected {', '.join(EXPECTED[question])}") from error

    def score(self, item: ItemFacts, dimensions: Mapping[str, float]) -> float:
        return min(dimensions["follows"], dimensions["keeps"])

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        groups: dict[str, list[JudgedItem]] = {}
        for judged in items:
            groups.setdefault(judged.item.category, []).append(judged)
        means = {f"{name}/Score": _mean([judged.score for judged in of_group]) for name, of_group in groups.items()}
        flaws = _mean([judged.dimensions.get("flaws") for judged in items])
        return Numbers({**means, "Flaws": flaws, "Average": _mean(list(means.values()))}, main="Average")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


PROTOCOL = ProtocolType(
    name="example",
    meaning="An example.",
    formats=("json",),
    items={"json": 4},
    dimensions=(Dimension("follows", 0, 10), Dimension("keeps", 0, 10), Dimension("flaws", 0, 5, better="lower")),
    scale=(0, 10),
    judge=Judge(("gpt-4.1",), {"temperature": 0.0, "max_new_tokens": None}),
    official=OfficialFiles("https://example.org/example", ("prompts.py",), {}),
    make=ExampleProtocol,
)

TEXTS = OfficialTexts(
    folder=Path("/official"),
    contents={"prompts.py": 'EDIT = "Does it follow <instruction>?"\nLOOK = "How good does it look?"\n'},
    hashes={"prompts.py": "0" * 64},
    commit=None,
    tried_commit=None,
)


def prepared_for(benchmark: Benchmark, texts: OfficialTexts = TEXTS) -> PreparedProtocol:
    """Return the protocol for this benchmark, without files."""
    table = table_of(benchmark)
    return PreparedProtocol(PROTOCOL, table, texts, ExampleProtocol(table, texts))
