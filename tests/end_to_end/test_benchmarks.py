"""Each public benchmark from its shipped config to its number, out into its authors' folders, and back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.place import Place
from tests.docs.markdown import ROOT
from tests.harness import User
from tests.made_benchmarks import MADE
from tests.openai_request import Request
from tests.openai_server import OpenAIServer

_REPLIES = {
    "gedit": '{{"score": [{0}, {1}], "reasoning": "fine"}}',
    "imgedit": "Brief reasoning: fine.\nPrompt Compliance: {0}\nVisual Seamlessness: {1}\nDetail: {0}",
    "risebench": "It is fine.\n**Final Score:** {0}",
    "kris": ('{{"consistency_score": {0}, "quality_score": {1}, "instruction_score": {1}, "knowledge_score": {0}}}'),
    "unicbench": '{{"score": {0}, "reason": "fine"}}',
}


def answer(benchmark: str, request: Request) -> str:
    """A reply as the benchmark's judges write it, with numbers from 1 to 5 that the request decides."""
    reply = _REPLIES[benchmark.partition("_")[0]]
    if benchmark == "risebench" and "<prompt_logical" in request.texts[0]:
        reply += ", {1}"  # one question about both dimensions
    return reply.format(*(1 + int(request.chance(name) * 5) for name in "ab"))


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    place = Place()
    yield place
    place.end_everything()


def config_of(user: User, benchmark: str, server: OpenAIServer) -> Path:
    """The shipped config with data, official files, an editor that needs no GPU, and the server's address."""
    data, official = user.folder / "data", user.folder / "official"
    MADE[benchmark](data, official)
    path = ROOT / "configs" / "benchmarks" / f"{benchmark.removesuffix('_v2')}.yaml"
    settings: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["benchmark"] |= {"data_path": str(data), "official": str(official)}
    settings["diffusion_model"] = {"type": "simulated", "params": {"device": "cpu", "latency_ms": 1}}
    settings["reward_model"]["params"]["base_url"] = server.base_url
    settings["evaluation"]["output_dir"] = str(user.output)
    return user.config(benchmark, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("benchmark", MADE)
def test_a_benchmark_is_run_exported_and_scored_again_with_the_same_numbers(
    tmp_path: Path, place: Place, server: OpenAIServer, benchmark: str
) -> None:
    user = User(tmp_path, place, pool="benchmarks")
    server.answer = partial(answer, benchmark)
    config = config_of(user, benchmark, server)
    if not place.processes():
        assert user.run("workers", "start", "--config", config, "--pool", "benchmarks").code == 0
    result = user.run_config(config)
    assert result.code == 0, result.output
    official, made = user.report()["official"], user.hashes()
    main = official["numbers"][official["main"]]
    assert main is not None
    assert f"{official['main']} " in result.output
    assert official["comparable"] is False
    assert official["num_scored"] == official["num_items"] == len(made)

    layout = benchmark.removesuffix("_v2")
    exported = user.check("export", "latest", "--layout", layout, "--to", "results/my_model")
    assert exported.code == 0, exported.output
    again = user.score("results/my_model", config)
    assert again.code == 0, again.output
    assert f"(layout {layout.removesuffix('_uge')})" in again.output
    assert user.hashes() == made
    scored_again = user.report()["official"]
    assert scored_again["numbers"] == official["numbers"]
    assert not any("The editor" in sentence for sentence in scored_again["deviations"]), "it is not known"
