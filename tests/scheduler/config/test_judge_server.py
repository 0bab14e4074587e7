"""The keys of a judge's own server: what is refused, and what a worker gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.config.requests import reward_spec
from tests.scheduler.config.written import load, only_problem

TEXT = "reward_model: {{type: openai, params: {{model_name: m, {more}}}}}\n"


@pytest.mark.parametrize(
    ("more", "path", "message"),
    [
        ("server: {command: [vllm, serve, m]}", "server.command", "has no {port}"),
        ("server: {port: 8000}", "server.command", "is missing"),
        ("base_url: http://h/v1, server: {command: [vllm, '{port}']}", "base_url", "is given beside `server`"),
        ("server: {command: [vllm], port: 8000, ready: health}", "server.ready", "must match"),
        ("server: {comand: [vllm]}", "server.comand", "unknown key"),
        ("server: {command: [vllm, '{port}'], start_timeout_seconds: 0}", "server.start_timeout_seconds", "must be"),
    ],
)
def test_a_server_that_could_not_be_started_or_reached_is_refused(
    tmp_path: Path, more: str, path: str, message: str
) -> None:
    problem = only_problem(tmp_path, TEXT.format(more=more))
    assert problem.path == f"reward_model.params.{path}"
    assert problem.message.startswith(message)


def test_a_worker_gets_what_is_not_the_default_and_without_a_server_nothing(tmp_path: Path) -> None:
    given = load(tmp_path, TEXT.format(more="server: {command: [vllm, '--port={port}'], env: {A: 1}, ready: /health}"))
    assert reward_spec(given).params["server"] == {"command": ["vllm", "--port={port}"], "env": {"A": 1}}
    assert "server" not in reward_spec(load(tmp_path, TEXT.format(more=""))).params


def test_how_many_requests_are_in_flight_and_allowed_is_the_schedulers_too(tmp_path: Path) -> None:
    judge = load(tmp_path, TEXT.format(more="max_concurrency: 7, max_requests: 100, batch_size: 4")).reward_model
    assert (judge.slots, judge.max_requests, judge.batch_size) == (7, 100, 1)
    other = load(tmp_path, "reward_model: {type: simulated, params: {batch_size: 4}}\n").reward_model
    assert (other.slots, other.max_requests, other.batch_size) == (1, None, 4)
