"""What the documents name is there: links, paths, commands, options, modules, config keys."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scheduler.commands.main import main
from scheduler.config import load_config

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("README*.md"), ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_TOP = r"(?:protocol|workers|scheduler|scripts|configs|tests|docs|\.ci)"
_PATH = re.compile(rf"(?<![\w./<>-]){_TOP}/[\w./-]*\w|(?<![\w./-])(?:Makefile|[\w-]+\.(?:md|toml|txt))(?![\w/])")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_COMMANDS = (
    *(("run",), ("score",), ("status",), ("report",), ("compare",)),
    *(("workers", "start"), ("workers", "status"), ("workers", "stop")),
)

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def fences(text: str, *languages: str) -> list[str]:
    """The contents of the code blocks of these languages."""
    return [content for language, content in _FENCE.findall(text) if language in languages]


def inline(text: str) -> list[str]:
    """What stands in backticks outside of code blocks."""
    found: list[str] = _INLINE.findall(_FENCE.sub("", text))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of the console and shell blocks, without comments."""
    typed = [line[2:] for block in fences(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    typed += [line for block in fences(text, "bash") for line in block.splitlines()]
    for line in typed:
        if words := shlex.split(line, comments=True):
            yield words


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def help_of(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main([*command, "--help"])
    return capsys.readouterr().out


@every_document
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name} links to {target}"
        assert not anchor or anchor in anchors(path), f"{document.name} links to {target}: no such heading"


@every_document
def test_every_path_of_the_repository_that_is_named_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = [path for code in inline(text) for path in _PATH.findall(code)]
    named += [path for words in commands(text) for word in words for path in _PATH.findall(word)]
    beside = {path.name for path in DOCUMENTS}
    missing = {path for path in named if path not in beside and not (ROOT / path).exists()}
    assert not missing, f"{document.name} names {sorted(missing)}"


@every_document
def test_every_make_target_that_is_named_is_in_the_makefile(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {words[1] for words in commands(text) if words[:1] == ["make"]}
    named |= {match.group(1) for code in inline(text) if (match := re.match(r"make ([a-z]+)", code))}
    assert named <= targets


@every_document
def test_every_warmbench_command_is_one_that_the_command_line_takes(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(document.read_text(encoding="utf-8")):
        if words[0] != "warmbench":
            continue
        command = next(known for known in _COMMANDS if tuple(words[1 : 1 + len(known)]) == known)
        options = {word for word in words if word.startswith("--")}
        assert options <= set(_OPTION.findall(help_of(command, capsys))), " ".join(words)


def test_the_readme_names_every_option_of_run_and_no_other_option(capsys: pytest.CaptureFixture[str]) -> None:
    known = {command: set(_OPTION.findall(help_of(command, capsys))) for command in _COMMANDS}
    named = {option for code in [*inline(README), *fences(README, "console")] for option in _OPTION.findall(code)}
    assert named <= set().union(*known.values())
    table = set(re.findall(r"^\| `(--[a-z-]+)", README, re.MULTILINE))
    assert table == known["run",] - {"--help"}


def test_every_module_and_script_is_listed_in_the_architecture() -> None:
    listed = set(re.findall(r"^\| `([^`]+)` \|", ARCHITECTURE, re.MULTILINE))
    there = {
        str(path.relative_to(ROOT))
        for folder in ("protocol", "workers", "scheduler", "scripts")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".sh") and path.name != "__init__.py"
    }
    assert there - listed == set(), "not in docs/architecture.md"
    assert {path for path in listed if path.endswith((".py", ".sh"))} - there == set(), "listed, but gone"


def test_every_config_that_is_shipped_is_in_the_readme_and_in_the_guide() -> None:
    guide = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for path in (ROOT / "configs").glob("*.yaml"):
        assert f"`configs/{path.name}`" in README
        assert f"`configs/{path.name}`" in guide


@every_document
def test_every_yaml_example_is_a_config_and_every_json_example_is_json(document: Path, tmp_path: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for number, block in enumerate(fences(text, "yaml")):
        assert yaml.safe_load(block)
        path = tmp_path / f"example-{number}.yaml"
        path.write_text(block, encoding="utf-8")
        load_config(path)
    for block in fences(text, "json"):
        assert json.loads(block)
