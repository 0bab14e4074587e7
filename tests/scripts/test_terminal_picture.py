"""A command's screen in a real pseudo-terminal becomes a page: colours, dim and bold text, wide characters."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from scripts.terminal_picture import COLUMNS, ROWS, watch

STYLED = """
import os, pathlib
from tests.waiting import wait_until
print(os.get_terminal_size())
print("\\x1b[32mgreen\\x1b[0m \\x1b[2mdim\\x1b[0m \\x1b[1mbold\\x1b[0m <b>")
print("物理|")
print("\\x1b[38;2;9;8;7mown\\x1b[0m ready", flush=True)
wait_until(pathlib.Path("seen").exists)
print("\\x1b[2J\\x1b[Hgone")
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


def test_the_page_is_the_screen_of_the_wanted_moment_with_its_styles(tmp_path: Path) -> None:
    screens: list[str] = []

    def wanted(screen: str) -> bool:
        screens.append(screen)
        if "ready" not in screen:
            return False
        (tmp_path / "seen").touch()
        return True

    page = watch([sys.executable, "-c", STYLED], folder=tmp_path, environment=environment(), wanted=wanted)
    assert f"columns={COLUMNS}, lines={ROWS}" in page
    assert re.search(
        r'<span style="color:#\w{6}">green</span> <span class="dim">dim</span> <b>bold</b> &lt;b&gt;', page
    )
    assert "<i>物</i><i>理</i>|" in page
    assert '<span style="color:#090807">own</span> ready' in page
    assert "gone" not in page


def test_a_missing_screen_and_a_failed_command_are_reported_with_the_last_screen(tmp_path: Path) -> None:
    for program in ("print('another')", "print('another'); raise SystemExit(3)"):
        with pytest.raises(SystemExit, match="another"):
            watch([sys.executable, "-c", program], folder=tmp_path, environment=environment(), wanted=lambda _: False)
