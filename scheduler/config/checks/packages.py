"""Checks that this environment has the packages that a config needs, which are not imported; else names the command."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from scheduler.config.models import ModelSection
from scheduler.config.problems import listing
from scheduler.trackers.declaration import TrackerType
from workers.placers.declaration import PlacerType

CHECKOUT = Path(__file__).resolve().parents[3]
"""Where warmbench's own files are: its checkout, unless it was installed as a package."""

DISTRIBUTIONS = {"zmq": "pyzmq", "PIL": "pillow", "mlflow": "mlflow-skinny"}
"""What pip calls modules of another name."""

_REQUIREMENT = re.compile(r"([\w.-]+).*\bextra\s*==\s*[\"']([\w-]+)[\"']")


def missing_packages(section: ModelSection) -> tuple[str, str] | None:
    """Return what a model's workers lack in this environment, and the command that installs it; None if nothing."""
    if section.has_environment or section.class_path is not None:
        return None
    return _missing(section.type, section.declaration.packages, section.declaration.role)


def missing_for_placer(placer: PlacerType) -> tuple[str, str] | None:
    """Return what the launcher lacks in this environment to use a placer, likewise."""
    return _missing(f"the placer {placer.name}", placer.packages, placer.name)


def missing_for_tracker(tracker: TrackerType) -> tuple[str, str] | None:
    """Return what this environment lacks to use a tracker, likewise."""
    return _missing(f"the tracker {tracker.name}", tracker.packages, tracker.name)


def _missing(who: str | None, packages: Mapping[str, str], extra: str) -> tuple[str, str] | None:
    lacking = list(_lacking(packages))
    if not lacking:
        return None
    verb = "is" if len(lacking) == 1 else "are"
    return f"{who} needs {listing(lacking)}, which {verb} not installed", install_hint(packages, extra)


def _lacking(packages: Mapping[str, str]) -> Iterator[str]:
    for name, oldest in packages.items():
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # without an origin, a folder of that name, as trackers make
            yield name
        elif oldest:
            try:
                version = metadata.version(DISTRIBUTIONS.get(name, name))
            except metadata.PackageNotFoundError:
                continue
            if version_numbers(version) < version_numbers(oldest):
                yield f"{name} {oldest} or newer ({version} is there)"


def install_hint(packages: Collection[str], preferred: str = "") -> str:
    """Return the command that installs these packages into this environment, as a hint. See ``extra_of``."""
    extra = extra_of(packages, preferred)
    if extra is None:
        wanted = [DISTRIBUTIONS.get(name, name) for name in packages]
    elif (CHECKOUT / "pyproject.toml").is_file():
        wanted = ["-c", str(CHECKOUT / "constraints.txt"), "-e", f"{CHECKOUT}[{extra}]"]
    else:
        wanted = [f"warmbench[{extra}]"]
    return f"run `{shlex.join([sys.executable, '-m', 'pip', 'install', *wanted])}`"


def extra_of(packages: Collection[str], preferred: str = "") -> str | None:
    """Return the extra of warmbench that installs these packages, but for those that come with ``scheduler``: the
    preferred one, else the smallest; None if there is none.
    """
    extras: dict[str, set[str]] = {}
    for requirement in metadata.requires("warmbench") or ():
        if found := _REQUIREMENT.match(requirement):
            extras.setdefault(found[2], set()).add(found[1])
    wanted = {DISTRIBUTIONS.get(name, name) for name in packages} - extras.get("scheduler", set())
    able = [name for name, held in extras.items() if wanted <= held]
    return min(able, key=lambda name: (name != preferred, len(extras[name])), default=None)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``4.57.6`` and ``2.13.0+cpu`` as they are, ``5.0.0rc1`` as 5.0."""
    numbers = []
    for part in version.split("+", maxsplit=1)[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
