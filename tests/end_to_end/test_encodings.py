"""Terminals and locales that cannot show a character, and data that are not UTF-8."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import User, encoded, pair, picture, write_data

LOCALES = {
    "gbk terminal": {"PYTHONIOENCODING": "gbk"},
    "C locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
NAMES = ("物理", "é🎈", "한국어")


@pytest.mark.slow
@pytest.mark.warm
@pytest.mark.parametrize("locale", LOCALES)
def test_no_command_ends_because_a_character_cannot_be_shown(user: User, tmp_path: Path, locale: str) -> None:
    picture_text = encoded(picture((32, 32)))
    data = {name: [pair(f"{name}-1", picture_text, f"{name} ✅")] for name in NAMES}
    data["物理"].append(pair("bad", "%%%"))
    config = user.simulated(write_data(tmp_path / "数据🎈.json", data), name="配置")
    user.environment.update(LOCALES[locale])
    run = str(user.output / "runs")
    commands = {
        ("run", "--config", config, "--dry-run", "--categories", *NAMES): 3,
        ("run", "--config", config, *user.pool_options): 3,
        ("status", "--output-dir", user.output): 0,
        ("report", "latest", "--output-dir", user.output): 3,
        ("compare", "latest", "latest", "--output-dir", user.output): 0,
        ("workers", "status", "--config", config, *user.pool_options[:2]): 0,
        ("run", "--config", config, "--categories", "物", "🎈"): 2,
    }
    for command, code in commands.items():
        result = user.run(*command)
        assert result.code == code, f"{command}: {result.output}"
        assert "Traceback" not in result.output
        assert "UnicodeEncodeError" not in result.output
    images = {path.parent.name for path in Path(run).glob("*/images/*/*.png")}
    assert images == set(NAMES), "file names are UTF-8"


@pytest.mark.parametrize("option", ["--dry-run", "--limit=1"])
def test_a_data_file_in_gbk_is_one_error_and_nothing_is_launched(user: User, tmp_path: Path, option: str) -> None:
    path = write_data(
        tmp_path / "data.json", {"物理": [pair(number, encoded(picture((8, 8))), "变红") for number in (1, 2)]}
    )
    path.write_bytes(path.read_text(encoding="utf-8").encode("gbk"))
    result = user.check_config(user.simulated(path), option)

    assert result.code == 2, result.output
    assert "1 problem" in result.output
    assert "its texts are not UTF-8" in result.output
    assert "iconv -f GB18030 -t UTF-8" in result.output
    assert not user.output.exists()
    assert user.left_over() == []


@pytest.mark.parametrize("option", ["--dry-run", "--keep-warm"])
def test_data_without_a_good_pair_are_an_error_that_lists_every_pair(user: User, tmp_path: Path, option: str) -> None:
    good = encoded(picture((8, 8)))
    bad = [pair("1", "%%%"), pair("2", good, ""), {**pair("3", good), "edit_instruction": 3}]
    result = user.check_config(user.simulated(write_data(tmp_path / "data.json", {"物理": bad})), option)

    assert result.code == 2, result.output
    assert "benchmark.data_path: none of the 3 pairs of " in result.output
    for reason in ("物理/1: bad_base64: ", "物理/2: no_instruction: ", "物理/3: bad_field: "):
        assert reason in result.output
    assert not user.output.exists()
    assert user.left_over() == []
