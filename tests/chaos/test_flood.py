"""A short flood: the long one is ``python -m tests.chaos flood``."""

from __future__ import annotations

import re

import pytest

from tests.chaos.flood import main


@pytest.mark.slow
def test_a_run_gives_the_same_while_strangers_flood_its_worker_and_its_launcher(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["--messages", "4000", "--pairs", "10"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert re.findall(r"(worker|launcher): 4,000 messages", said) == ["worker", "launcher"]
    assert said.endswith("nobody got in\n")
