"""Every command of ``docs/tutorial.md`` is run, with simulated models instead of the tiny ones."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from scripts.make_demo_data import main as make_demo_data
from tests.docs.markdown import ROOT, fences, inline, read
from tests.harness import Result, User, new_user

TEXT = read(ROOT / "docs" / "tutorial.md")
CONFIG = "mine/eval.yaml"

_FILE = re.compile(r"^File `([^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b\d{8}_\d{6}\b")
# Lines that depend on the models or are shortened on the page. All other lines must be printed as shown.
_DIFFERENT = re.compile(r"(?:Note: |Editor: |Reward: |Worker |editor-|reward-| +- changed: |[┌│├└])")


@dataclass(frozen=True)
class Command:
    """A command of the document and the output that is shown below it."""

    words: list[str]
    shown: list[str]


def commands() -> Iterator[Command]:
    for block in fences(TEXT, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *shown = part.splitlines()
            lines = [line for line in shown if line not in ("", "...") and not _DIFFERENT.match(line)]
            yield Command(command.partition("  #")[0].split(), lines)


def log_lines() -> Iterator[str]:
    """The log lines in the README and the page for users of the old system that every run prints."""
    pages = [read(ROOT / "README.md"), read(ROOT / "docs" / "coming-from-the-old-system.md")]
    lines = [line for page in pages for block in fences(page, "text") for line in block.splitlines()]
    for line in [*lines, *(code for page in pages for code in inline(page))]:
        if re.match(r"Loaded \d|Synchronization: |Round \d|Batch \d+ on |📁 |✅ ", line):
            yield line


def plain(line: str) -> str:
    """The line without what varies: ids, numbers, dates, the path of the command."""
    line = re.sub(r"To resume: .*? run ", "To resume: run ", line)
    line = re.sub(r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+", "DAY", _ID.sub("ID", line))
    line = re.sub(r"(launcher pid \d+), .*", r"\1", line)
    # On a busy machine an editor may join after the first round.
    line = line.replace(" 1 editor synced", " 1 editors synced")
    return re.sub(r"[-+]?\d+(?:\.\d+)?", "N", line).rstrip()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, tiny_editor_path: Path) -> Iterator[User]:
    """A folder after ``make setup`` with the document's files."""
    folder = tmp_path_factory.mktemp("tutorial")
    (folder / "outputs" / "demo").mkdir(parents=True)
    make_demo_data([str(folder / "outputs" / "demo" / "benchmark.json")])
    shutil.copytree(tiny_editor_path, folder / "outputs" / "tiny-models" / "editor")
    (folder / "mine").mkdir()
    for name, content in _FILE.findall(TEXT):
        (folder / name).write_text(content, encoding="utf-8")
    with new_user(folder) as made:
        simulate(folder / CONFIG, latency_ms=30)
        yield made


def simulate(path: Path, *, latency_ms: int) -> None:
    """Replace the models of the config by simulated ones, which accept the same keys."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section in ("diffusion_model", "reward_model"):
        config[section]["type"] = "simulated"
    config["diffusion_model"]["params"]["latency_ms"] = latency_ms
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")


def interrupted(reader: User, arguments: list[str]) -> Result:
    """Run the command until its first round is over, then press Ctrl-C."""
    simulate(reader.folder / CONFIG, latency_ms=1500)
    lines: list[str] = []
    with reader.start(*arguments) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Round 1/"):
                process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    simulate(reader.folder / CONFIG, latency_ms=30)
    return Result(process.returncode, "".join(lines))


def execute(reader: User, command: list[str], stamps: dict[str, str], *, again: bool) -> Result:
    if command[0] == "python":
        done = subprocess.run(
            [sys.executable, *command[1:]], cwd=reader.folder, capture_output=True, text=True, check=False, timeout=120
        )
        return Result(done.returncode, done.stdout + done.stderr)
    arguments = [_ID.sub(lambda stamp: stamps[stamp.group()], word) for word in command[1:]]
    return interrupted(reader, arguments) if again else reader.run(*arguments)


@pytest.mark.slow
def test_every_command_of_the_tutorial_does_what_is_shown(reader: User) -> None:
    to_run = [command for command in commands() if command.words[0] in ("python", "warmbench")]
    assert [command.words[1] for command in to_run if command.words[0] == "warmbench"] == [
        *("run", "run", "run", "workers", "compare", "run", "status", "run", "workers")
    ]
    in_the_text = list(dict.fromkeys(_ID.findall(TEXT)))
    stamps: dict[str, str] = {}
    before: list[list[str]] = []
    codes = []
    all_printed = set()
    for command in to_run:
        result = execute(reader, command.words, stamps, again=command.words in before)
        before.append(command.words)
        codes.append(result.code)
        printed = {plain(line) for line in result.output.splitlines()}
        all_printed |= printed
        missing = [line for line in command.shown if plain(line) not in printed]
        assert not missing, f"{' '.join(command.words)} printed:\n{result.output}"
        runs = sorted(path.name for path in (reader.folder / "mine" / "outputs" / "runs").glob("*"))
        stamps = dict(zip(in_the_text, runs, strict=False))

    shown_elsewhere = {plain(line) for line in log_lines()}
    assert len(shown_elsewhere) == 6
    assert shown_elsewhere <= all_printed
    assert codes.count(130) == 1
    assert sum(codes) == 130
    assert len(stamps) == len(in_the_text) == 3
    assert reader.left_over() == []


@pytest.mark.slow
def test_the_snippet_makes_a_benchmark_that_holds_the_pictures_as_they_are(tmp_path: Path) -> None:
    files = dict(_FILE.findall(TEXT))
    (tmp_path / "mine" / "pictures").mkdir(parents=True)
    (tmp_path / "outputs" / "demo").mkdir(parents=True)
    make_demo_data([str(tmp_path / "outputs" / "demo" / "benchmark.json")])
    for name in ("take_pictures.py", "make_benchmark.py", "instructions.csv"):
        (tmp_path / "mine" / name).write_text(files[f"mine/{name}"], encoding="utf-8")
    for name in ("take_pictures.py", "make_benchmark.py"):
        subprocess.run([sys.executable, f"mine/{name}"], cwd=tmp_path, check=True, timeout=60)

    made = json.loads((tmp_path / "mine" / "benchmark.json").read_text(encoding="utf-8"))
    demo = json.loads((tmp_path / "outputs" / "demo" / "benchmark.json").read_text(encoding="utf-8"))
    assert {category: len(pairs) for category, pairs in made.items()} == {"physics": 3, "weather": 3}
    originals = {pair["pair_id"]: pair["original_image_b64"].rpartition(",")[2] for pair in demo["物理"] + demo["环境"]}
    assert {pair["pair_id"]: pair["original_image_b64"] for pairs in made.values() for pair in pairs} == originals
