"""A small protocol for tests: two questions with three dimensions, whose numbers are plain means."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

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

EXPECTED = {"match": ("follows", "keeps"), "look": ("quality",)}


class ExampleProtocol(Protocol):
    """``match`` shows source and edit, ``look`` only the edit; both reply with a JSON object."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        if not item.instruction:
            raise UnsuitableItem("it has no instruction")
        text = self.texts.constant("prompts.py", "MATCH").replace("<instruction>", item.instruction)
        look = self.texts.constant("prompts.py", "LOOK")
        edit = ImagePart(image="edit")
        return (
            Question(name="match", parts=[TextPart(text=text), ImagePart(image="source"), edit]),
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
        return min(dimensions[name] for names in EXPECTED.values() for name in names)

    def numbers(self, items: Sequence[JudgedItem]) -> Numbers:
        scores = [item.score for item in items if item.score is not None]
        whole = len(scores) == len(items) and scores
        return Numbers({"Overall": sum(scores) / len(scores) if whole else None}, main="Overall")


PROTOCOL = ProtocolType(
    name="example",
    meaning="An example.",
    formats=("json",),
    items={"json": 2},
    dimensions=tuple(Dimension(name, 1, 5) for names in EXPECTED.values() for name in names),
    scale=(1.0, 5.0),
    judge=Judge(("judge-1",), {"temperature": 0.0, "max_new_tokens": 700}),
    official=OfficialFiles("https://example.org/example", ("prompts.py",), {}),
    make=ExampleProtocol,
)

TEXTS = OfficialTexts(
    folder=Path("/official"),
    contents={"prompts.py": 'MATCH = "Does it follow <instruction>?"\nLOOK = "How good does it look?"\n'},
    hashes={"prompts.py": "0" * 64},
    commit=None,
    tried_commit=None,
)


def prepared_for(benchmark: Benchmark, texts: OfficialTexts = TEXTS) -> PreparedProtocol:
    """Return the protocol for this benchmark, without files."""
    table = table_of(benchmark)
    return PreparedProtocol(PROTOCOL, table, texts, ExampleProtocol(table, texts))
