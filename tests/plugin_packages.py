"""Installs packages that bring plug-ins: a module and a dist-info folder, as an installer leaves them."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, package: str, group: str, entries: dict[str, str], source: str | None = None) -> Path:
    """Install version 1.2 of a package into the folder; ``source`` is its module. Return the folder, for sys.path."""
    info = site / f"{package}-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n", encoding="utf-8")
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if source is not None:
        (site / f"{package}.py").write_text(source, encoding="utf-8")
    return site
