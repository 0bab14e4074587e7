"""A run whose editor is a model behind a server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import TIMEOUT, User, new_user, small_benchmark
from tests.image_server import ImageServer, edited
from tests.openai_request import Request
from tests.server_processes import server_processes
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with new_user(tmp_path) as made:
        yield made


def served(user: User, there: ImageServer | None = None, *, pairs: int = 4, **params: Any) -> Path:
    given = {"base_url": there.base_url, **params} if there is not None else params
    return user.config(
        benchmark={"data_path": str(small_benchmark(user.folder / "benchmark.json", pairs=pairs))},
        diffusion_model={"type": "http", "params": {"model_name": "editor", "max_concurrency": 3, **given}},
        reward_model={"type": "simulated"},
        evaluation={"save_generated_images": True},
    )


def test_as_many_requests_are_in_flight_as_asked_and_failures_cost_no_edit(user: User) -> None:
    with ImageServer(latency=0.6, faults={"server_error": 0.3}, seed=1, version="1.0") as server:
        config = served(user, server)
        result = user.run_config(config)
        assert result.code == 0, result.output
        assert server.most_in_flight == 3
        assert server.met["server_error"]
        made = {edited(request) for request in server.requests}
        pictures = [(user.run_folder() / row["image"]).read_bytes() for row in user.rows("edited")]
        assert len(pictures) == 8
        assert len({row["worker"] for row in user.rows("edited")}) == 3
        assert made

        asked = len(server.requests)
        resumed = user.run_config(config, "--resume", "latest")
        assert resumed.code == 0, resumed.output
        assert len(server.requests) == asked
    assert user.left_over() == []


def test_another_version_of_the_server_ends_the_run_which_makes_all_edits_with_it_when_it_is_resumed(
    user: User,
) -> None:
    def latency(request: Request) -> float:
        if request.number == 4:
            server.version = "2.0"
        return 0.3

    with ImageServer(latency=latency, version="1.0") as server:
        config = served(user, server)
        result = user.run_config(config)
        assert result.code == 1, result.output
        assert "the server was 1.0 and is 2.0 now, which makes other edits" in result.output
        assert user.rows("failed") == []
        before = edits(user)
        resumed = user.run_config(config, "--resume", "latest")
        assert resumed.code == 0, resumed.output
        assert edits(user) == before + 8
    assert user.left_over() == []


def test_no_pair_is_given_up_for_another_version_of_the_server(user: User) -> None:
    with ImageServer(latency=0.3, version="1.0") as server:
        config = served(user, server, pairs=1)
        assert user.run("workers", "start", "--config", config).code == 0
        server.version = "2.0"
        result = user.run_config(config, "--no-launch")
        assert result.code == 1, result.output
        assert len(server.requests) > 2, "a pair was tried by several workers, by each alone"
        assert user.rows("failed") == []
        assert user.run("workers", "stop", "--config", config).code == 0
    assert user.left_over() == []


def test_a_parameter_that_the_server_refuses_ends_the_run(user: User) -> None:
    with ImageServer(refused_parameters=["guidance_scale"]) as server:
        result = user.run_config(served(user, server, guidance_scale=3.0))
        assert result.code == 1
        assert "does not accept the parameter `guidance_scale`" in result.output
        assert len(server.requests) <= 3
    assert user.left_over() == []


def test_an_edit_that_a_filter_refuses_is_asked_for_once_and_fails_with_the_reason(user: User) -> None:
    with ImageServer(fault=lambda request: "filtered_400" if ", 0" in request.body["prompt"] else None) as server:
        result = user.run_config(served(user, server))
        assert result.code == 3, result.output
        assert len(server.requests) == 8
    failed = user.rows("failed")
    assert [(row["stage"], row["kind"]) for row in failed] == [("edit", "filtered")] * 2
    assert {row["message"] for row in failed} == {
        "the server's content filter refused the request: HTTP 400: The response was filtered."
    }
    assert user.left_over() == []


def test_a_server_of_its_own_is_shared_and_when_it_is_killed_no_edit_is_lost_or_double(user: User) -> None:
    command = [sys.executable, "-m", "tests.image_server", "--port", "{port}", "--latency", "0.2", "--version", "1.0"]
    config = served(user, pairs=12, server={"command": command, "env": {"PYTHONPATH": str(ROOT)}})
    with user.start_run(config) as run:
        wait_until(lambda: run.poll() is not None or edits(user) >= 4, seconds=TIMEOUT)
        assert run.poll() is None, run.communicate()[0]
        (first,) = server_processes(user)
        first.kill()
        wait_until(lambda: {*server_processes(user)} - {first}, seconds=TIMEOUT)
        (second,) = server_processes(user)
        output, _ = run.communicate(timeout=TIMEOUT)
    assert run.returncode == 0, output
    assert "its server has ended (SIGKILL)" in output
    assert not any(process.is_running() for process in (first, second))
    assert user.left_over() == []
    assert len({row["worker"] for row in user.rows("edited")}) == 3
    made = Counter((row["category"], row["pair_id"]) for row in user.rows("edited"))
    assert made.total() == len(made) == 24
    assert len({row["identity"] for row in user.rows("edited")}) == 24
    assert user.rows("failed") == []
    assert user.report()["status"] == "COMPLETE"


def edits(user: User) -> int:
    return len(user.rows("edited")) if any(user.output.glob("runs/*/results.jsonl")) else 0
