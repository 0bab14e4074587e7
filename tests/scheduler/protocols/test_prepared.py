"""What a config with a protocol is refused for, and what the protocol changes in it."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from PIL import Image

from scheduler.benchmark import Benchmark, load_benchmark
from scheduler.config.document import Config
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from scheduler.protocols import prepared
from scheduler.protocols.declaration import ItemFacts, Judge, ProtocolType
from scheduler.protocols.official import OfficialFiles
from scheduler.protocols.prepared import PreparedProtocol, prepare_protocol, suitable, with_prescribed
from tests.example_protocol import PROTOCOL, TEXTS, ExampleProtocol, prepared_for
from workers.models.plugins import Registry

PROMPTS = TEXTS.contents["prompts.py"]


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "PNG")
    encoded = base64.b64encode(image.getvalue()).decode()
    pair = {"pair_id": "1", "edit_instruction": "do", "original_image_b64": encoded}
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"c": [pair]}), encoding="utf-8")
    return load_benchmark(path)


@pytest.fixture
def official(tmp_path: Path) -> Path:
    folder = tmp_path / "official"
    folder.mkdir()
    (folder / "prompts.py").write_text(PROMPTS, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example protocol is the only one."""
    registry = Registry("warmbench.protocols", ProtocolType, {"example": "tests.example_protocol:PROTOCOL"})
    monkeypatch.setattr(prepared, "PROTOCOLS", registry)


def config_with(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def yaml(protocol: str = "example", official: Path | None = None, reward: str = "qwen3_vl", more: str = "") -> str:
    folder = f"  official: {official}\n" if official else ""
    return (
        f"benchmark:\n  protocol: {protocol}\n{folder}diffusion_model: {{type: identity}}\n"
        f"reward_model: {{type: {reward}, params: {{model_name: judge-2{more}}}}}\n"
    )


def problems(config: Config, benchmark: Benchmark) -> list[tuple[str, str]]:
    found = prepare_protocol(config, benchmark)
    assert isinstance(found, list)
    return [(problem.path, problem.message) for problem in found]


def test_a_protocol_is_prepared_with_its_files(tmp_path: Path, benchmark: Benchmark, official: Path) -> None:
    protocol = prepare_protocol(config_with(tmp_path, yaml(official=official)), benchmark)
    assert isinstance(protocol, PreparedProtocol)
    assert (protocol.name, protocol.texts.contents) == ("example", {"prompts.py": PROMPTS})
    assert protocol.table.items == 1


def test_all_reasons_against_a_protocol_are_told_at_once(tmp_path: Path, benchmark: Benchmark) -> None:
    config = config_with(tmp_path, yaml(reward="simulated"))
    other = replace(benchmark, format="gedit")
    found = problems(config, other)
    assert [path for path, _ in found] == ["benchmark.protocol", "reward_model.type", "benchmark.official"]
    assert "git clone https://example.org/example" in found[2][1]


def test_an_unknown_protocol_and_scoring_by_logits_are_refused(
    tmp_path: Path, benchmark: Benchmark, official: Path
) -> None:
    [(path, message)] = problems(config_with(tmp_path, yaml("exampel")), benchmark)
    assert path == "benchmark.protocol"
    assert "exampel" in message
    assert "example" in message
    logits = config_with(tmp_path, yaml(official=official, more=", scoring: logits"))
    assert [path for path, _ in problems(logits, benchmark)] == ["reward_model.params.scoring"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (yaml() + "prompts: {default: {system_prompt: '', user_prompt_template: x}}\n", "prompts"),
        ("benchmark: {official: /tmp}\n", "benchmark.official"),
    ],
)
def test_prompts_beside_a_protocol_and_official_files_without_one_are_errors(
    tmp_path: Path, text: str, path: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        config_with(tmp_path, text)
    assert [problem.path for problem in raised.value.problems] == [path]


def test_what_the_config_leaves_out_is_as_the_authors_have_it(tmp_path: Path) -> None:
    prescribed = structs.replace(PROTOCOL, scale=(1.0, 5.0), judge=Judge(("judge-1",), {"max_new_tokens": 700}))
    config = with_prescribed(config_with(tmp_path, yaml()), prescribed)
    params: dict[str, Any] = dict(config.reward_model.params)
    assert (params["max_new_tokens"], params["score_range"]) == (700, (1.0, 5.0))
    own = with_prescribed(config_with(tmp_path, yaml(more=", max_new_tokens: 50")), prescribed)
    assert dict(own.reward_model.params)["max_new_tokens"] == 50


def test_a_judge_that_needs_a_value_keeps_its_own_where_the_authors_leave_it_out(tmp_path: Path) -> None:
    assert PROTOCOL.judge.parameters["max_new_tokens"] is None
    config = with_prescribed(config_with(tmp_path, yaml()), PROTOCOL)
    assert dict(config.reward_model.params)["max_new_tokens"] == 128


def test_the_resolved_config_has_the_protocol_and_no_prompts_and_loads_again(tmp_path: Path) -> None:
    config = config_with(tmp_path, yaml())
    resolved = config.as_resolved_yaml()
    assert "prompts" not in resolved
    assert config_with(tmp_path, resolved) == config


def test_a_pair_that_the_protocol_cannot_judge_is_a_bad_one(benchmark: Benchmark) -> None:
    protocol = prepared_for(benchmark)
    assert suitable(benchmark, protocol) is benchmark
    [pair] = benchmark.pairs
    judged = suitable(replace(benchmark, pairs=(structs.replace(pair, instruction=""),)), protocol)
    assert judged.pairs == ()
    assert [(bad.kind, bad.message) for bad in judged.bad] == [
        ("bad_field", "example cannot judge it: it has no instruction")
    ]


def test_texts_come_from_the_official_files_only(benchmark: Benchmark) -> None:
    rules = ExampleProtocol(prepared_for(benchmark).table)
    with pytest.raises(RuntimeError, match="without the official files"):
        rules.questions(ItemFacts("c", "1", "do"))
    assert OfficialFiles("https://example.org/example", (), {}).how_to_get == "git clone https://example.org/example"
