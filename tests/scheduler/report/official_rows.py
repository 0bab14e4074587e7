"""The manifest and rows of a run that the example protocol judged."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from protocol.messages import Usage
from scheduler.protocols.declaration import (
    ProtocolType,
    Table,
)
from scheduler.report import official
from scheduler.store.official_facts import JudgeFacts, OfficialFacts
from scheduler.store.rows import AnsweredRow, Row
from tests.example_protocol import PROTOCOL
from tests.scheduler.rows import edited, planned, scored
from workers.models.plugins import Registry


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The protocol is there."""
    register(monkeypatch)


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        official, "PROTOCOLS", Registry("warmbench.none", ProtocolType, {"example": "tests.example_protocol:PROTOCOL"})
    )


def facts(**changes: Any) -> OfficialFacts:
    """The facts of a run whose numbers can be compared with published ones."""
    judge = JudgeFacts(
        type="openai",
        model="gpt-4.1",
        models=PROTOCOL.judge.models,
        prescribed=dict(PROTOCOL.judge.parameters),
        parameters={"temperature": 0.0, "max_new_tokens": None},
    )
    given = OfficialFacts(
        protocol="example",
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
    parameters = {"score_range": list(PROTOCOL.scale)}
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
