"""The keys of a judge behind a server: what is refused, what is not shown, and what is part of a score's identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from scheduler.config.requests import reward_spec, score_identity_parameters, score_parameters
from tests.scheduler.config.written import load, problems_of
from workers.fingerprint import fingerprint
from workers.interface import ModelError, StreamingReward
from workers.models.rewards.openai_judge import DECLARATION, OpenAIJudge
from workers.models.rewards.openai_settings import KEYS, JudgeSettings, read_judge_settings
from workers.models.served.keys import is_loopback


def written(tmp_path: Path, **params: Any) -> str:
    """The text of a config with a judge that has these parameters."""
    data = tmp_path / "data.json"
    data.write_text("[]")
    content = {
        "benchmark": {"data_path": str(data)},
        "diffusion_model": {"type": "identity"},
        "reward_model": {"type": "openai", "params": {"model_name": "judge", **params}},
    }
    return yaml.safe_dump(content)


def test_the_declaration_says_what_the_class_does() -> None:
    assert issubclass(OpenAIJudge, StreamingReward)
    assert DECLARATION.streams
    assert DECLARATION.answers_questions


def test_what_a_run_asks_has_the_defaults_of_its_keys() -> None:
    defaults = read_judge_settings({key.name: key.default for key in KEYS if key.default is not None})
    assert defaults == JudgeSettings()
    with pytest.raises(ModelError, match="max_retries"):
        read_judge_settings({"max_retries": "many"})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "::1"])
def test_this_machine_is_known_by_its_addresses(host: str) -> None:
    assert is_loopback(host)
    assert not is_loopback(f"{host}.example.com")


@pytest.mark.parametrize(
    ("params", "path", "words"),
    [
        ({"model_name": None}, "model_name", "is missing"),
        ({"scoring": "logits", "reply_format": "json_object"}, "reply_format", "brace"),
        ({"scoring": "logits", "score_range": [0, 100]}, "score_range", "whole numbers from 0 to 19"),
        ({"parameters": {"messages": []}}, "parameters.messages", "can't be set here"),
        ({"parameters": {"temperature": 1}}, "parameters.temperature", "is set twice"),
        ({"device": "cuda:0"}, "device", "needs no device"),
        ({"max_concurrency": 0}, "max_concurrency", "1 to 512"),
    ],
)
def test_what_can_not_be_is_a_problem_of_its_key(tmp_path: Path, params: Any, path: str, words: str) -> None:
    (problem,) = problems_of(tmp_path, written(tmp_path, **params))
    assert problem.path == f"reward_model.params.{path}"
    assert words in problem.message


@pytest.mark.parametrize(
    "params",
    [
        {"api_key_env": "sk-proj-S3CRET"},
        {"api_key_env": "s3cret0123"},
        {"api_key_env": ["S3CRET-"]},
        {"base_url": "https://me:S3CRET@example.com/v1"},
        {"base_url": "https://example.com/v1?key=S3CRET"},
        {"api_key": "S3CRET"},
    ],
)
def test_a_key_in_the_config_is_a_problem_that_does_not_show_it(tmp_path: Path, params: Any) -> None:
    (problem,) = problems_of(tmp_path, written(tmp_path, **params))
    assert "s3cret" not in f"{problem.message} {problem.hint}".lower()


def test_the_address_is_part_of_a_score_and_what_only_changes_the_speed_or_the_key_is_not(tmp_path: Path) -> None:
    def identity(**params: Any) -> tuple[str, Any]:
        loaded = load(tmp_path, written(tmp_path, **params))
        return fingerprint(reward_spec(loaded), [], tmp_path / "cache"), score_identity_parameters(loaded)

    usual = identity()
    speed = {"max_concurrency": 7, "max_retries": 1, "request_timeout_seconds": 9, "max_requests": 5}
    assert identity(api_key_env="OTHER", **speed) == usual
    assert identity(base_url="http://127.0.0.1:8000/v1")[0] != usual[0]
    assert identity(model_name="another")[0] != usual[0]
    for name, value in {
        "temperature": None,
        "max_new_tokens": 5,
        "parameters": {"seed": 1},
        "reply_format": "json_object",
        "image_format": "jpeg",
        "max_image_side": 512,
    }.items():
        assert identity(**{name: value}) == (usual[0], {**usual[1], name: value}), name


def test_the_worker_learns_where_the_key_is_with_the_model_and_the_rest_with_each_piece_of_work(
    tmp_path: Path,
) -> None:
    loaded = load(tmp_path, written(tmp_path, api_key_env="OTHER"))
    address = "https://api.openai.com/v1"
    assert reward_spec(loaded).params == {"threads_per_worker": 1, "base_url": address, "api_key_env": "OTHER"}
    assert read_judge_settings(score_parameters(loaded)) == JudgeSettings()
