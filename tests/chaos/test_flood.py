"""A short flood; ``python -m tests.chaos flood`` is the long one."""

from __future__ import annotations

import re

import pytest

from tests.chaos.flood import main


@pytest.mark.slow
def test_a_flood_of_foreign_messages_does_not_change_the_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["--messages", "4000", "--pairs", "10"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert re.findall(r"(worker|launcher): 4,000 messages", said) == ["worker", "launcher"]
    assert said.endswith("nobody got in\n")
