"""A plug-in package with a format of its own, as somebody else would write it: one file."""

from __future__ import annotations

from pathlib import Path

from tests.plugin_packages import install

SOURCE = """
import csv
from scheduler.benchmark.formats import Format, Item, image_file

def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Item(row["id"], row["category"], row["instruction"], image_file(path.parent, row["image"]))

FORMAT = Format("csv", "a CSV file beside its images", read, detect=lambda path: path.suffix == ".csv")
"""


def install_csv_format(site: Path, package: str = "warmbench_csv") -> Path:
    """Install the format ``csv``; return the folder, for sys.path."""
    return install(site, package, "warmbench.formats", {"csv": f"{package}:FORMAT"}, SOURCE)


def write_csv(path: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """Write rows of id, category, instruction and image."""
    lines = ["id,category,instruction,image", *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
