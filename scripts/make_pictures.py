"""Takes the pictures of the documents: ``python -m scripts.make_pictures [FOLDER]`` (default ``docs/pictures``).

Two real runs with simulated editors on the demo's drawings, in a folder that is removed again, and then a browser:
the Chromium that is installed, driven by playwright. A pool of the name ``make-pictures`` must not be up.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from PIL import Image

from scripts.make_demo_data import main as make_demo_data

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[1]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_TO_GALLERY = "document.querySelector('.gallery').scrollIntoView()"


@dataclass(frozen=True)
class Shot:
    """One picture: of which page, how large, and what is done before."""

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
    Shot("results", size=(1280, 860)),
    Shot("gallery", size=(1280, 690), view="sort=file", before=lambda page: page.evaluate(_TO_GALLERY)),
    Shot(
        "gallery-dark",
        size=(1280, 690),
        dark=True,
        language="zh",
        view="sort=best",
        before=lambda page: page.evaluate(_TO_GALLERY),
    ),
    Shot("pair", view="sort=file", before=_open_a_pair),
    Shot("phone", size=(390, 844), view="sort=file", before=lambda page: page.evaluate(_TO_GALLERY)),
    Shot("comparison", comparison=True, size=(1280, 1000)),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs" / "pictures")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        report, comparison = _pages(Path(temporary))
        _take(report, comparison, folder)
    return 0


def _pages(folder: Path) -> tuple[Path, Path]:
    """A run with one failure, a control that edits nothing, and their comparison."""
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


def _warmbench(folder: Path, *arguments: str, allowed: tuple[int, ...] = (0,)) -> None:
    command = [sys.executable, "-m", "scheduler", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode not in allowed:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _take(report: Path, comparison: Path, folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        raise SystemExit(f"no Chromium is installed: none of {', '.join(_BROWSERS)} is in the PATH")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for shot in SHOTS:
            path = folder / f"{shot.name}.png"
            path.write_bytes(_small(_shoot(browser, comparison if shot.comparison else report, shot)))
            print(f"{path}: {path.stat().st_size // 1000} kB")
        browser.close()


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
    page.evaluate("Promise.all([...document.images].map((image) => image.decode().catch(() => null)))")
    taken = page.screenshot()
    context.close()
    return taken


def _small(picture: bytes) -> bytes:
    """The same picture, packed as well as PNG can."""
    stream = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").save(stream, "PNG", optimize=True)
    return stream.getvalue()


if __name__ == "__main__":
    raise SystemExit(main())
