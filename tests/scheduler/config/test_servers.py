"""The keys of a server that workers start: what is refused, and what a worker gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.config.checks.server_program import missing_program
from scheduler.config.requests import reward_spec
from tests.scheduler.config.written import load, only_problem

TEXT = "reward_model: {{type: openai, params: {{model_name: m, {more}}}}}\n"
EDITOR = "diffusion_model: {{type: http, params: {{model_name: m, {more}}}}}\n"


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
@pytest.mark.parametrize(("text", "section"), [(TEXT, "reward_model"), (EDITOR, "diffusion_model")])
def test_a_server_that_could_not_be_started_or_reached_is_refused(
    tmp_path: Path, more: str, path: str, message: str, text: str, section: str
) -> None:
    problem = only_problem(tmp_path, text.format(more=more))
    assert problem.path == f"{section}.params.{path}"
    assert problem.message.startswith(message)


def test_a_program_that_is_not_there_is_named_before_the_run(tmp_path: Path) -> None:
    section = load(tmp_path, EDITOR.format(more="server: {command: [no-such-server, '{port}']}")).diffusion_model
    assert missing_program(section) == (
        "there is no program 'no-such-server' that can be run",
        "install it, or write its full path",
    )
    (tmp_path / "no-such-server").write_text("#!/bin/sh\n")
    (tmp_path / "no-such-server").chmod(0o700)
    more = f"server: {{command: [no-such-server, '{{port}}'], env: {{PATH: {tmp_path}}}}}"
    assert missing_program(load(tmp_path, EDITOR.format(more=more)).diffusion_model) is None


def test_a_worker_gets_what_is_not_the_default_and_without_a_server_nothing(tmp_path: Path) -> None:
    given = load(tmp_path, TEXT.format(more="server: {command: [vllm, '--port={port}'], env: {A: 1}, ready: /health}"))
    assert reward_spec(given).params["server"] == {"command": ["vllm", "--port={port}"], "env": {"A": 1}}
    assert "server" not in reward_spec(load(tmp_path, TEXT.format(more=""))).params


def test_how_many_requests_are_in_flight_and_allowed_is_the_schedulers_too(tmp_path: Path) -> None:
    judge = load(tmp_path, TEXT.format(more="max_concurrency: 7, max_requests: 100, batch_size: 4")).reward_model
    assert (judge.slots, judge.max_requests, judge.batch_size) == (7, 100, 1)
    other = load(tmp_path, "reward_model: {type: simulated, params: {batch_size: 4}}\n").reward_model
    assert (other.slots, other.max_requests, other.batch_size) == (1, None, 4)


def test_a_field_of_the_request_is_left_out_or_set_once(tmp_path: Path) -> None:
    editor = load(tmp_path, EDITOR.format(more="parameters: {seed: null, strength: 0.5}")).diffusion_model
    assert editor.params.model_dump()["parameters"] == {"seed": None, "strength": 0.5}
    problem = only_problem(tmp_path, EDITOR.format(more="parameters: {seed: 3}"))
    assert problem.path == "diffusion_model.params.parameters.seed"
    assert problem.message.startswith("is set twice")
    problem = only_problem(tmp_path, EDITOR.format(more="parameters: {model: other}"))
    assert problem.message.startswith("can't be set here: warmbench sets it")
