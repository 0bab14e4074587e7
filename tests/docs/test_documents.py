"""What the documents name exists: links, paths, commands, options, configs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from scheduler.commands.main import main
from scheduler.config.loading import load_config
from tests.docs.markdown import DOCUMENTS, ROOT, anchors, fences, inline, links, read

README = read(ROOT / "README.md")

_TOP = r"(?:protocol|workers|scheduler|scripts|configs|tests|docs|\.ci)"
_PATH = re.compile(rf"(?<![\w./<>-]){_TOP}/[\w./-]*\w|(?<![\w./-])(?:Makefile|[\w-]+\.(?:md|toml|txt))(?![\w/])")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_COMMANDS = (
    *(("run",), ("runs",), ("score",), ("status",), ("report",), ("compare",), ("export",), ("list",)),
    *(("inspect",), ("merge",), ("watch",), ("series",)),
    *(("workers", action) for action in ("start", "status", "stop", "keys", "join")),
)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of the console and shell blocks, without comments."""
    typed = [line[2:] for block in fences(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    typed += [line for block in fences(text, "bash") for line in block.splitlines()]
    for line in typed:
        if words := shlex.split(line, comments=True):
            yield words


@cache
def help_of(command: tuple[str, ...]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
        main([*command, "--help"])
    return shown.getvalue()


@every_document
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    for name, anchor in links(read(document)):
        if "://" in name:
            continue
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name} links to {name}"
        assert not anchor or anchor in anchors(path), f"{document.name} links to {name}#{anchor}: no such heading"


@every_document
def test_every_path_of_the_repository_that_is_named_is_there(document: Path) -> None:
    text = read(document)
    named = [path for code in inline(text) for path in _PATH.findall(code)]
    named += [path for words in commands(text) for word in words for path in _PATH.findall(word)]
    beside = {path.name for path in DOCUMENTS}
    missing = {path for path in named if path not in beside and not (ROOT / path).exists()}
    assert not missing, f"{document.name} names {sorted(missing)}"


@every_document
def test_every_make_target_that_is_named_is_in_the_makefile(document: Path) -> None:
    text = read(document)
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = {words[1] for words in commands(text) if words[:1] == ["make"]}
    named |= {match.group(1) for code in inline(text) if (match := re.match(r"make ([a-z-]+)", code))}
    assert named <= targets


@every_document
def test_every_warmbench_command_is_one_that_the_command_line_takes(document: Path) -> None:
    for words in commands(read(document)):
        if words[0] != "warmbench":
            continue
        command = next(known for known in _COMMANDS if tuple(words[1 : 1 + len(known)]) == known)
        options = {word for word in words if word.startswith("--")}
        assert options <= set(_OPTION.findall(help_of(command))), " ".join(words)


def test_the_readme_names_every_option_of_run_and_no_other_option() -> None:
    known = {command: set(_OPTION.findall(help_of(command))) for command in _COMMANDS}
    named = {option for code in [*inline(README), *fences(README, "console")] for option in _OPTION.findall(code)}
    assert named <= set().union(*known.values())
    table = set(re.findall(r"^\| `(--[a-z-]+)", README, re.MULTILINE))
    assert table == known["run",] - {"--help"}


def test_every_config_that_is_shipped_is_in_the_readme_and_in_the_guide_or_a_page_of_its_benchmark() -> None:
    guides = [read(path) for path in (ROOT / "docs" / "configuration.md", *(ROOT / "docs" / "benchmarks").glob("*.md"))]
    for path in (ROOT / "configs").rglob("*.yaml"):
        name = f"`{path.relative_to(ROOT)}`"
        assert name in README
        assert any(name in guide for guide in guides)


@every_document
def test_every_yaml_example_is_a_config_and_every_json_example_is_json(document: Path, tmp_path: Path) -> None:
    text = read(document)
    for number, block in enumerate(fences(text, "yaml")):
        assert yaml.safe_load(block)
        path = tmp_path / f"example-{number}.yaml"
        path.write_text(block, encoding="utf-8")
        if document.name != "own-models.md":  # needs an installed package: test_own_models.py runs it
            load_config(path)
    for block in fences(text, "json"):
        assert json.loads(block)
