"""What the proof of one protocol declares."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scheduler.protocols.declaration import ItemFacts
from tests.openai_request import Request

KEY = "no-secret"
"""The key that both sides send."""


@dataclass(frozen=True)
class Patch:
    """Replaces ``old`` by ``new``, all its ``times``, in a file of the copied scripts; ``why`` it cannot stay."""

    file: str
    old: str
    new: str
    why: str
    times: int = 1


@dataclass(frozen=True)
class Place:
    """A temporary folder: ``scripts`` has the copied checkout, ``data`` the benchmark, ``edits`` the images to judge.

    ``official`` is the checkout as it was given, ``base_url`` the judge's address. ``fork`` is a checkout of Bagel, if
    one was given.
    """

    folder: Path
    official: Path
    python: Path
    base_url: str
    items: int
    fork: Path | None = None

    @property
    def scripts(self) -> Path:
        """The copied and patched checkout."""
        return self.folder / "scripts"

    @property
    def data(self) -> Path:
        """The benchmark, in the official layout."""
        return self.folder / "data"

    @property
    def edits(self) -> Path:
        """The edits, in the official layout."""
        return self.folder / "edits"

    @property
    def server(self) -> str:
        """The judge's address without ``/v1``."""
        return self.base_url.removesuffix("/v1")

    def run(self, *arguments: str | Path, cwd: str = ".", input: str | None = None) -> str:  # noqa: A002 - as subprocess
        """Run the authors' interpreter in a folder of the copied scripts; return what it prints."""
        done = subprocess.run(
            [str(self.python), *map(str, arguments)],
            cwd=self.scripts / cwd,
            env={**os.environ, "OPENAI_API_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
            input=input,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return done.stdout

    def call(self, code: str, *arguments: object, cwd: str = ".") -> Any:
        """Run code of ours beside the authors' modules: it makes ``result`` of ``arguments``, both as JSON has them."""
        source = f"import json, sys\narguments = json.load(sys.stdin)\n{code}\nprint()\nprint(json.dumps(result))"
        output = self.run("-c", source, cwd=cwd, input=json.dumps(arguments))
        return json.loads(output.splitlines()[-1])


Reading = Mapping[str, float] | None
"""The dimensions that a reply gives; None where the authors' script makes one up, or fails."""


@dataclass(frozen=True)
class Replies:
    """Random replies to one question, readable or not, which both sides read.

    ``draw`` makes one, ``theirs`` lets the authors' code read them.
    """

    item: ItemFacts
    question: str
    draw: Callable[[random.Random], str]
    theirs: Callable[[Place, Sequence[str]], Sequence[Reading]]


@dataclass(frozen=True)
class Proof:
    """How one protocol is proved.

    ``copied`` are the paths of the checkout that the scripts need. ``make`` writes data and edits, ``theirs`` runs the
    authors' scripts and returns their numbers by our names. ``answer`` is the judge's reply to a request, in every form
    in which the scripts read a score. ``runs`` are further keys of the config's benchmark section, one mapping for
    each run of ours; their numbers are taken together. ``differences`` name what is known to differ, each as a fault of
    the scripts.
    """

    protocol: str
    copied: tuple[str, ...]
    patches: Callable[[Place], Sequence[Patch]]
    make: Callable[[Place], None]
    theirs: Callable[[Place], Mapping[str, float]]
    answer: Callable[[Request], str]
    replies: tuple[Replies, ...] = ()
    runs: tuple[Mapping[str, Any], ...] = ({},)
    differences: tuple[str, ...] = ()


def copy_scripts(place: Place, proof: Proof) -> None:
    """Copy what the proof needs of the checkout, and patch the copy."""
    for path in proof.copied:
        source, target = place.official / path, place.scripts / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    for patch in proof.patches(place):
        file = place.scripts / patch.file
        text = file.read_text(encoding="utf-8")
        if text.count(patch.old) != patch.times:
            raise RuntimeError(
                f"{patch.file} has {text.count(patch.old)} times {patch.old!r}, expected {patch.times}: "
                f"has the script changed? (the patch is needed for {patch.why})"
            )
        file.write_text(text.replace(patch.old, patch.new), encoding="utf-8")
