"""Whatever a file holds: it loads, or it is a ``ConfigError`` with problems; nothing else ever comes out."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.base.text import one_line
from scheduler.config.catalog import all_keys
from scheduler.config.checks.environment import Environment
from scheduler.config.document import Config
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from tests.scheduler.config.old_configs import COMPLETE
from tests.scheduler.config.written import write

NAMES = sorted({key.name for key in all_keys()} | {"benchmark", "prompts", "pool", "物理", "default", "typo"})
TYPES = ["simulated", "identity", "qwen3_vl", "qwen3_vl_subprocess", "multi_gpu_qwen_edit", "flux", "src.models.a.B"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([*TYPES, "cpu", "cuda:1", "/proc/x", "{", "a/b", "my.Class", "~", "~nobody/x", "tcp://[::1]"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(NAMES), SCALARS), inner, max_size=4)
    ),
    max_leaves=12,
)
PLACES: list[tuple[str, ...]] = [
    ("benchmark",),
    ("prompts", "物理"),
    ("prompts", "物理", "aspects"),
    ("diffusion_model",),
    ("diffusion_model", "params"),
    ("diffusion_model", "params", "optimizations"),
    ("diffusion_model", "params", "faults"),
    ("reward_model",),
    ("reward_model", "params"),
    ("evaluation",),
    ("logging",),
    ("pool",),
    ("scheduler",),
    (),
]


def outcome(path: Path, environment: Environment | None) -> Config | ConfigError:
    try:
        return load_config(path, environment=environment)
    except ConfigError as error:
        return error


def attempt(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), text)
        found = outcome(path, Environment(hub="http://127.0.0.1:1", stages=("edit",)))
        if isinstance(found, ConfigError):
            assert found.problems
            assert all(problem.message and one_line(str(problem)) == str(problem) for problem in found.problems)
        found = outcome(path, None)
        if isinstance(found, Config):
            assert load_config(write(Path(folder), found.as_resolved_yaml())) == found


@pytest.mark.slow
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(NAMES), VALUES), min_size=1, max_size=6))
@settings(max_examples=100)
def test_any_values_in_any_places(changes: list[tuple[tuple[str, ...], str, Any]]) -> None:
    document: dict[Any, Any] = copy.deepcopy(yaml.safe_load(COMPLETE))
    document["diffusion_model"]["params"]["model_name"] = "./none"
    for place, name, value in changes:
        holder: Any = document
        for part in place:
            if not isinstance(holder.get(part), dict):
                holder[part] = {}
            holder = holder[part]
        holder[name] = value
    attempt(yaml.dump(document, allow_unicode=True))


@given(st.text(st.sampled_from("ab: -[]{}&*!|>'\"#%@\n\t,?~0<"), max_size=60))
@settings(max_examples=300)
def test_any_text(text: str) -> None:
    attempt(text)
