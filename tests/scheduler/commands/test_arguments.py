"""What an argument of the command line is."""

from __future__ import annotations

import locale
import os

import pytest

from scheduler.commands.arguments import typed


def test_a_text_typed_in_a_gbk_terminal_is_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locale, "getencoding", lambda: "gbk")
    received = os.fsdecode("物理".encode("gbk"))
    assert received != "物理"
    assert typed(received) == "物理"
    assert typed("环境 🎈") == "环境 🎈"


def test_bytes_that_the_terminals_encoding_lacks_stay_as_they_are() -> None:
    assert os.fsencode(typed(os.fsdecode(b"\xff"))) == b"\xff"
