"""A run whose editor is a model behind a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import User, new_user, small_benchmark
from tests.image_server import ImageServer, edited

pytestmark = pytest.mark.slow


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with new_user(tmp_path) as made:
        yield made


def served(user: User, server: ImageServer, **params: Any) -> Path:
    return user.config(
        benchmark={"data_path": str(small_benchmark(user.folder / "benchmark.json", pairs=4))},
        diffusion_model={
            "type": "http",
            "params": {"model_name": "editor", "base_url": server.base_url, "max_concurrency": 3, **params},
        },
        reward_model={"type": "simulated"},
        evaluation={"save_generated_images": True},
    )


def test_as_many_requests_are_in_flight_as_asked_and_failures_cost_no_edit(user: User) -> None:
    with ImageServer(latency=0.3, faults={"server_error": 0.3}, seed=1, version="1.0") as server:
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
        server.version = "2.0"
        other = user.run_config(config, "--resume", "latest")
        assert other.code == 0, other.output
        assert len(server.requests) > asked  # another version of the server makes other edits
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
