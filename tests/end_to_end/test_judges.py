"""Runs whose judge is behind a server, as users run them."""

from __future__ import annotations

import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from tests.harness import User, small_benchmark
from tests.openai_server import OpenAIServer

pytestmark = pytest.mark.slow


def judged_by(server: OpenAIServer, user: User, *, pairs: int = 4, **params: Any) -> Path:
    """A config whose judge is this server."""
    return user.config(
        benchmark={"data_path": str(small_benchmark(user.folder / "benchmark.json", pairs=pairs))},
        diffusion_model={
            "type": "simulated",
            "params": {"device_ids": ["cpu", "cpu"], "latency_ms": 1},
        },
        reward_model={"type": "openai", "params": {"model_name": "judge", "base_url": server.base_url, **params}},
        evaluation={"save_generated_images": True},
    )


def test_the_judge_is_shown_every_edit_as_it_is(user: User) -> None:
    with OpenAIServer() as server:
        result = user.run_config(judged_by(server, user))
    assert result.code == 0, result.output
    shown = [request.images[0] for request in server.requests]
    edits = [Image.open(user.run_folder() / row["image"]) for row in user.rows("edited")]
    assert len(shown) == len(edits) == 8
    for edit in edits:
        assert any(not ImageChops.difference(edit, image).getbbox() for image in shown if image.size == edit.size)
    assert {row["usage"]["requests"] for row in user.rows("scored")} == {1}
    assert user.left_over() == []


@pytest.mark.warm
def test_a_thousand_items_are_judged_by_a_server_with_every_fault(user: User) -> None:
    for_good = ["filtered", "filtered_400", "refused"]
    refusals = ["rate_limit", "rate_limit_seconds", "rate_limit_date", "server_error", "overloaded"]
    broken = ["reset", "half", "half_json", "empty", "html", "huge", "never"]
    faults: Any = dict.fromkeys([*for_good, *refusals, *broken], 0.05)
    with OpenAIServer(faults=faults, retry_after=0.1) as server:
        config = judged_by(server, user, pairs=500, request_timeout_seconds=1.5, max_retries=30)
        result = user.run_config(config)
        first = Counter(server._fault(request) for request in server.requests if request.attempt == 0)
    assert result.code == 3, result.output[-3000:]
    assert len(user.rows("scored")) + len(user.rows("failed")) == 1000
    kinds = Counter(row["kind"] for row in user.rows("failed"))
    assert kinds == {"filtered": first["filtered"] + first["filtered_400"], "refused": first["refused"]}
    assert min(server.met[kind] for kind in faults) > 5, "each fault was met"
    assert all(row["message"] for row in user.rows("failed"))
    report = user.report()
    assert (report["status"], len(report["failures"])) == ("INCOMPLETE", kinds.total())


@pytest.mark.warm
@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"refused_parameters": ["temperature"]}, "the parameter `temperature`"),
        ({"models": ["another"]}, "does not know the model"),
        ({"fault": lambda _: "bad_request"}, "The request is invalid"),
    ],
)
def test_what_would_fail_every_request_ends_the_run_at_the_first(user: User, told: Any, named: str) -> None:
    with OpenAIServer(**told) as server:
        config = judged_by(server, user, pairs=20)
        result = user.run_config(config)
        assert server.count <= 3
    assert result.code == 1, result.output
    assert "Aborted: reward-0: the server" in result.output
    assert named in result.output
    assert "--resume" in result.output
    assert len(user.rows("failed")) == max(0, server.count - 1), "what was asked before the reason was known"


# -- the key


def everything_written(user: User) -> dict[str, bytes]:
    """All files of the run's folder and of the pool's."""
    files = [path for folder in (user.folder, user.home) for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files}


def test_the_key_is_in_no_file_no_output_and_no_process_list(user: User) -> None:
    key = secrets.token_urlsafe(24)
    user.environment["JUDGE_KEY"] = key
    commands: list[str] = []

    def look(request: Any) -> float:
        commands.extend(" ".join(process.cmdline()) for process in user.processes())
        commands.extend(process.name() for process in user.processes())
        return 0.0

    with OpenAIServer(accepted=key, latency=look, faults={"reset": 0.2, "bad_request": 0.1, "html": 0.2}) as server:
        config = judged_by(server, user, api_key_env="JUDGE_KEY")
        result = user.run_config(config, "--keep-warm", "--debug")
        assert {request.key for request in server.requests} == {key}
        before = everything_written(user)
        ended = user.run("workers", "stop", "--config", config)
    assert result.code in {0, 3}, result.output
    assert len(commands) > 8
    for name, content in (before | everything_written(user)).items():
        assert key.encode() not in content, name
    for text in (result.output, ended.output, *commands):
        assert key not in text


def test_a_key_that_the_server_refuses_ends_the_run_without_showing_it(user: User) -> None:
    key = secrets.token_urlsafe(24)
    user.environment["JUDGE_KEY"] = key
    with OpenAIServer(accepted="another") as server:
        result = user.run_config(judged_by(server, user, api_key_env="JUDGE_KEY"))
    assert result.code == 1
    assert "the server does not accept the key" in result.output
    assert server.count == 0
    assert all(key.encode() not in content for content in everything_written(user).values())
    assert key not in result.output


def test_a_warm_pool_without_the_key_is_refused_with_the_command_that_ends_it(user: User) -> None:
    data = small_benchmark(user.folder / "benchmark.json", pairs=1)
    started = user.run_config(user.simulated(data), "--pool", "warm", "--keep-warm")
    assert started.code == 0, started.output
    user.environment["JUDGE_KEY"] = secrets.token_urlsafe(24)
    with OpenAIServer() as server:
        config = judged_by(server, user, base_url="http://judge.invalid/v1", api_key_env="JUDGE_KEY")
    refused = user.run_config(config, "--pool", "warm")
    assert refused.code == 2
    assert "the variable JUDGE_KEY, which openai needs, is not set in pool warm" in refused.output
    assert f"`warmbench workers stop --config {config} --pool warm`" in refused.output
    assert user.run("workers", "stop", "--config", config, "--pool", "warm").code == 0
    assert user.run_config(config, "--dry-run", "--pool", "warm").code == 0, "a new pool has the key"
