"""A plan reaches the launcher unchanged, and a wrong one is refused there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings

from protocol.plan import PoolPlan, WorkerId
from tests.protocol.struct_types import NOT_JSON, mutants, sample, values_of

_INFO = msgspec.inspect.type_info(PoolPlan)


@settings(max_examples=30)
@given(values_of(_INFO))
def test_a_plan_arrives_unchanged(plan: PoolPlan) -> None:
    assert msgspec.json.decode(msgspec.json.encode(plan), type=PoolPlan) == plan


def test_a_plan_with_one_wrong_field_is_refused() -> None:
    assert isinstance(_INFO, msgspec.inspect.StructType)
    msgspec.convert(sample(_INFO), PoolPlan)
    accepted = []
    for what, wrong in mutants(_INFO):
        try:
            msgspec.convert(wrong, PoolPlan)
        except msgspec.ValidationError:
            continue
        accepted.append(what)
    # Free parameters, of models and placers, may hold anything here: the plan is JSON, which has no other values.
    assert len(accepted) == 2 * len(NOT_JSON)
    assert all(".spec.params[name]" in what or "placer_options[name]" in what for what in accepted)


@pytest.mark.parametrize("worker_id", ["../editor-0", "a/b", "/etc/x", "..", ".", "", "editor-0\n", "-x", "x" * 65])
def test_a_worker_id_never_leaves_the_pool_folder(worker_id: str) -> None:
    plan = sample(_INFO)
    plan["workers"][0]["worker_id"] = worker_id
    with pytest.raises(msgspec.ValidationError, match="worker_id"):
        msgspec.json.decode(msgspec.json.encode(plan), type=PoolPlan)


@settings(max_examples=30)
@given(values_of(msgspec.inspect.type_info(WorkerId)))
def test_every_accepted_worker_id_names_a_file_in_the_folder(worker_id: str) -> None:
    path = Path("/pool") / f"{worker_id}.log"
    assert path.resolve().parent == Path("/pool")
