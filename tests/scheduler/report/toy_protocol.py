"""A protocol as somebody else's package would bring it, with three dimensions, and rows of a run that it judged."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import msgspec
import pytest

from protocol.messages import ImagePart, Question, TextPart, Usage
from scheduler.protocols.declaration import (
    Dimension,
    ItemFacts,
    Judge,
    JudgedItem,
    Numbers,
    Protocol,
    ProtocolType,
    Table,
    UnreadableReply,
)
from scheduler.protocols.official import OfficialFiles
from scheduler.report import official
from scheduler.store.official_facts import JudgeFacts, OfficialFacts
from scheduler.store.rows import AnsweredRow, Row
from tests.scheduler.rows import edited, planned, scored
from workers.models.plugins import Registry


class Toy(Protocol):
    """``follows`` and ``keeps`` are asked together, ``flaws`` in a question of its own; fewer of these are better."""

    def questions(self, item: ItemFacts) -> Sequence[Question]:
        return [
            Question(name=name, parts=[TextPart(text=item.instruction), ImagePart(image="edit")])
            for name in self.expected(item)
        ]

    def expected(self, item: ItemFacts) -> Mapping[str, tuple[str, ...]]:
        return {"edit": ("follows", "keeps"), "look": ("flaws",)}

    def read(self, item: ItemFacts, question: str, reply: str) -> Mapping[str, float]:
        try:
            return {name: float(json.loads(reply)[name]) for name in self.expected(item)[question]}
        except ValueError as error:
            raise UnreadableReply("no JSON") from error

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


TOY = ProtocolType(
    name="toy",
    meaning="three dimensions",
    formats=("json",),
    items={"json": 4},
    dimensions=(
        Dimension("follows", 0, 10),
        Dimension("keeps", 0, 10),
        Dimension("flaws", 0, 5, better="lower"),
    ),
    scale=(0, 10),
    judge=Judge(models=("gpt-4.1",), parameters={"temperature": 0.0, "max_new_tokens": None}),
    official=OfficialFiles(repository="https://example.org/toy", paths=("prompts.py",), tried={}),
    make=Toy,
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol is there."""
    register(monkeypatch)


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "PROTOCOLS", Registry("warmbench.none", ProtocolType, {"toy": f"{__name__}:TOY"}))


def facts(**changes: Any) -> OfficialFacts:
    """The facts of a run whose numbers can be compared with published ones."""
    judge = JudgeFacts(
        type="openai",
        model="gpt-4.1",
        models=TOY.judge.models,
        prescribed=dict(TOY.judge.parameters),
        parameters={"temperature": 0.0, "max_new_tokens": None},
    )
    given = OfficialFacts(
        protocol="toy",
        version="2b06cc1",
        files={"prompts.py": "c" * 64},
        commit="2b06cc1",
        tried_commit="2b06cc1",
        table=Table(columns={}, items=4, format="json"),
        judge=judge,
        full_items=4,
    )
    return msgspec.structs.replace(given, **changes)


def manifest(**changes: Any) -> dict[str, Any]:
    """A manifest with these facts."""
    parameters = {"score_range": list(TOY.scale)}
    return {
        "run": "x",
        "official": msgspec.to_builtins(facts(**changes)),
        "reward": {"type": "openai", "model_name": "gpt-4.1", "parameters": parameters},
    }


def answered(pair_id: str, category: str, question: str, dimensions: dict[str, float], **more: Any) -> AnsweredRow:
    """An answer to one of the questions."""
    usage = Usage(requests=1, prompt_tokens=900, completion_tokens=20, model="gpt-4.1", system_fingerprint="fp_1")
    fields: dict[str, Any] = {"sample": 0, "pass_": 0, "usage": usage, "response": json.dumps(dimensions), **more}
    return AnsweredRow(
        category=category,
        pair_id=pair_id,
        question=question,
        dimensions=dimensions,
        attempt=1,
        worker="reward-0",
        device=None,
        batch=0,
        started=200.0,
        finished=200.5,
        identity="Q",
        **fields,
    )


def judged(
    pair_id: str, category: str, follows: float, keeps: float, flaws: float, *, sample: int = 0, pass_: int = 0
) -> list[Row]:
    """The rows of one judgement, whole."""
    where: dict[str, Any] = {"sample": sample, "pass_": pass_}
    dimensions = {"follows": follows, "keeps": keeps, "flaws": flaws}
    whole: dict[str, Any] = {
        "dimensions": dimensions,
        "response": None,
        "method": "protocol",
        "started": None,
        "finished": None,
    }
    return [
        answered(pair_id, category, "edit", {"follows": follows, "keeps": keeps}, **where),
        answered(pair_id, category, "look", {"flaws": flaws}, **where),
        scored(pair_id, min(follows, keeps), category, **where, **whole),
    ]


def complete_rows() -> list[Row]:
    """Four pairs in two categories, all scored."""
    rows: list[Row] = []
    for pair_id, category, values in (
        ("1", "add", (8, 6, 1)),
        ("2", "add", (4, 9, 0)),
        ("1", "remove", (10, 10, 0)),
        ("2", "remove", (9, 7, 3)),
    ):
        rows += [planned(pair_id, category), edited(pair_id, category), *judged(pair_id, category, *values)]
    return rows
