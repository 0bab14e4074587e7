"""Runs that an earlier version made, under ``tests/data/runs``: each a working directory in which the run can resume.

``simulated`` has simulated models, ``tiny`` the real classes on the tiny models, ``own`` a user's classes. The folder
``models`` of ``tiny`` is not recorded: link it to the tiny models. ``python -m tests.recorded_runs NAME...`` records
runs again, with the code and the libraries of today; they then no longer say what an earlier version did.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.harness import encoded, new_user, pair, picture, write_data
from tests.recorded import DATA
from tests.set_up import MODELS

RUNS = DATA / "runs"
NAMES = ("simulated", "tiny", "own")
STAMP = "20260101_120000"


def link_models(folder: Path, editor: Path, reward: Path) -> None:
    """Put the tiny models where the config of ``tiny`` looks for them."""
    (folder / "models").mkdir()
    (folder / "models" / "editor").symlink_to(editor)
    (folder / "models" / "reward").symlink_to(reward)


def _record(name: str) -> None:
    source = RUNS / name
    shutil.rmtree(source / "results", ignore_errors=True)
    categories = {
        category: [pair(f"{category}-{number}", encoded(picture((32 + number, 32)))) for number in range(2)]
        for category in ("物理", "spatial")
    }
    write_data(source / "benchmark.json", categories)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        shutil.copytree(source, folder)
        if name == "tiny":
            MODELS["editor"].build(Path(temporary) / "editor")
            MODELS["reward-recorded"].build(Path(temporary) / "reward")
            link_models(folder, Path(temporary) / "editor", Path(temporary) / "reward")
        with new_user(folder) as user:
            result = user.run("run", "--config", "config.yaml")
        if result.code != 0:
            raise SystemExit(result.output)
        (made,) = (folder / "results" / "runs").iterdir()
        _keep(made, source / "results" / "runs" / STAMP, folder)


def _keep(made: Path, kept: Path, folder: Path) -> None:
    """Copy what a resumption reads, with nothing of this machine in it."""
    kept.mkdir(parents=True)
    for images in made.glob("images*"):
        shutil.copytree(images, kept / images.name)
    for name in ("config.yaml", "manifest.json", "results.jsonl"):
        text = (made / name).read_text(encoding="utf-8").replace(str(folder), "/bench").replace(made.name, STAMP)
        (kept / name).write_text(text, encoding="utf-8")
    manifest = json.loads((kept / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"command": ["warmbench", "run", "--config", "config.yaml"], "git_commit": None, "host": "host"}
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    (kept / "manifest.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    for chosen in sys.argv[1:]:
        _record(chosen)
