"""Installs packages that bring plug-ins: a module and a dist-info folder, as an installer leaves them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(site: Path, package: str, group: str, entries: Mapping[str, str], source: str | None = None) -> Path:
    """Install version 1.2 of a package into the folder; ``source`` is its module. Return the folder, for sys.path."""
    if source is not None:
        site.mkdir(parents=True, exist_ok=True)
        (site / f"{package}.py").write_text(source, encoding="utf-8")
    return install_groups(site, package, {group: entries})


def install_groups(site: Path, package: str, groups: Mapping[str, Mapping[str, str]]) -> Path:
    """The same for a package with entry points of several groups, whose modules are elsewhere."""
    info = site / f"{package}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
    lines = [line for group, entries in groups.items() for line in (f"[{group}]", *map(" = ".join, entries.items()))]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return site
