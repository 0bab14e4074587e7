"""Takes the screenshots of the documents: ``python -m scripts.make_pictures [FOLDER]`` (default ``docs/pictures``).

It makes real runs with simulated editors on the demo's drawings, in a temporary folder, one of them in a terminal, and
opens their pages in a browser (``scripts/browser.py``). No pool named ``make-pictures`` may be up.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from PIL import Image

from scripts.browser import chromium, missing_browser
from scripts.make_demo_data import main as make_demo_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
_PICTURES = """Promise.all([...document.images].filter((image) => image.getBoundingClientRect().top < innerHeight)
  .map((image) => image.decode().catch(() => null)))"""
_TO_GALLERY = "document.querySelector('.gallery').scrollIntoView()"


@dataclass(frozen=True)
class Shot:
    """One screenshot: which page, its size, and what to do first."""

    name: str
    comparison: bool = False
    size: tuple[int, int] = (1280, 860)
    dark: bool = False
    language: str = "en"
    view: str = ""
    before: Callable[[Page], Any] | None = None


def _open_a_pair(page: Page) -> None:
    page.locator(".card", has_text="physics_ice").click()


SHOTS = (
    Shot("results", size=(1280, 884)),
    Shot("gallery", size=(1280, 726), view="sort=file", before=lambda page: page.evaluate(_TO_GALLERY)),
    Shot(
        "gallery-dark",
        size=(1280, 726),
        dark=True,
        language="zh",
        view="sort=best",
        before=lambda page: page.evaluate(_TO_GALLERY),
    ),
    Shot("pair", view="sort=file", before=_open_a_pair),
    Shot("phone", size=(390, 844), view="sort=file", before=lambda page: page.evaluate(_TO_GALLERY)),
    Shot("comparison", comparison=True, size=(1280, 1020)),
)

_SERIES = Shot("series", size=(1280, 1400))
"""Of the training that ``make demo-training`` runs: ``outputs/watches/checkpoints-*/series.html``."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--series", type=Path, metavar="PAGE", help="only the picture of this series.html")
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    reason = missing_browser()
    if reason is not None:
        raise SystemExit(reason)
    folder.mkdir(parents=True, exist_ok=True)
    if options.series is not None:
        with chromium() as browser:
            _save(folder / "series.png", _shoot(browser, options.series.resolve(), _SERIES), colours=256)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        report, comparison = _pages(Path(temporary))
        terminal = _terminal(Path(temporary))
        _take(report, comparison, terminal, folder)
    return 0


def _pages(folder: Path) -> tuple[Path, Path]:
    """The pages of a run with one failure, and of its comparison with a control that edits nothing."""
    make_demo_data([str(folder / "benchmark.json")])
    for editor in ("identity", "simulated"):
        _run(folder, editor)
    output = folder / "outputs"
    control, run = sorted(path.name for path in (output / "runs").iterdir())
    _warmbench(folder, "compare", control, run)
    return output / f"evaluation_report_{run}.html", output / f"comparison_{control}_{run}.html"


def _run(folder: Path, editor: str) -> None:
    fault = {"latency_ms": 40, "sigma": 0.4, "faults": {"error": ["指代/reference_grid"]}}
    config = {
        "benchmark": {"data_path": "benchmark.json"},
        "diffusion_model": {
            "type": editor,
            "params": {"device_ids": ["cpu", "cpu"], **(fault if editor == "simulated" else {})},
        },
        "reward_model": {
            "type": "simulated",
            "params": {"device": "cpu", "latency_ms": 40, "prefers": "change", "compare_with_original": True},
        },
        "evaluation": {"output_dir": "outputs", "save_generated_images": True},
        "pool": {"name": "make-pictures"},
    }
    path = folder / f"{editor}.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    _warmbench(folder, "run", "--config", path.name, allowed=(0, 3))


def _terminal(folder: Path) -> str:
    """The terminal of a run with six editors and barriers, as a page, when half of the edits are done."""
    from scripts.terminal_picture import watch

    drawn = json.loads((folder / "benchmark.json").read_text(encoding="utf-8"))
    copies = {
        category: [{**pair, "pair_id": f"{pair['pair_id']}_{copy}"} for copy in range(1, 7) for pair in pairs]
        for category, pairs in drawn.items()
    }
    (folder / "copies.json").write_text(json.dumps(copies), encoding="utf-8")
    config = {
        "benchmark": {"data_path": "copies.json"},
        "diffusion_model": {
            "type": "simulated",
            "params": {"device_ids": ["cpu"] * 6, "latency_ms": 800, "sigma": 0.25},
        },
        "reward_model": {"type": "simulated", "params": {"device": "cpu", "latency_ms": 900, "batch_size": 4}},
        "evaluation": {"output_dir": "in-a-terminal"},
        "pool": {"name": "make-pictures"},
    }
    path = folder / "in-a-terminal.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    environment = {name: value for name, value in _environment().items() if name not in ("CI", "NO_COLOR", "COLUMNS")}
    command = [sys.executable, "-m", "scheduler", "run", "--config", path.name]
    return watch(command, folder=folder, environment={**environment, "TERM": "xterm-256color"}, wanted=_is_half_way)


def _is_half_way(screen: str) -> bool:
    stages = {name: int(done) / int(all_) for name, done, all_ in re.findall(r"(?m)^(\w+) .*?(\d+)/(\d+)", screen)}
    busy = screen.count(" editing ") >= 4 and " at barrier " in screen and " scoring " in screen
    return stages.get("edit", 0) >= 0.45 and busy


def _warmbench(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> None:
    command = [sys.executable, "-m", "scheduler", *arguments]
    done = subprocess.run(command, cwd=folder, env=_environment(), check=False, capture_output=True, text=True)
    if done.returncode not in allowed:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _take(report: Path, comparison: Path, terminal: str, folder: Path) -> None:
    with chromium() as browser:
        for shot in SHOTS:
            _save(folder / f"{shot.name}.png", _shoot(browser, comparison if shot.comparison else report, shot))
        context = browser.new_context(device_scale_factor=2)
        page = context.new_page()
        page.set_content(terminal)
        _save(folder / "terminal.png", page.locator("pre").screenshot(), colours=128)
        context.close()


def _save(path: Path, picture: bytes, colours: int | None = None) -> None:
    path.write_bytes(_small(picture, colours))
    print(f"{path}: {path.stat().st_size // 1000} kB")


def _shoot(browser: Browser, page_file: Path, shot: Shot) -> bytes:
    context = browser.new_context(
        viewport={"width": shot.size[0], "height": shot.size[1]},
        color_scheme="dark" if shot.dark else "light",
        locale="zh-CN" if shot.language == "zh" else "en-US",
    )
    page = context.new_page()
    page.goto(page_file.as_uri() + (f"#{shot.view}" if shot.view else ""))
    page.wait_for_selector("html[data-ready]", state="attached")
    if shot.before:
        shot.before(page)
    page.evaluate(_PICTURES)
    screenshot = page.screenshot()
    context.close()
    return screenshot


def _small(picture: bytes, colours: int | None) -> bytes:
    """The same picture as a small PNG; with ``colours``, reduced to that number of colours."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        plain = image.convert("RGB")
        (plain.quantize(colours) if colours else plain).save(stream, "PNG", optimize=True)
    return stream.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
