"""The images of a RISEBench folder: named by paths that come from data, and so are not trusted."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from scheduler.benchmark.model import PairError
from scheduler.benchmark.names import shown


def image_path(root: Path, name: str) -> Path:
    """Return where the image lies, links followed. ``root`` is the folder that it must not leave, links followed too.

    Raises:
        PairError: ``bad_image``: the path leaves the folder, or names no file.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise PairError("bad_image", f"image {shown(name)} leads out of the data's folder")
    try:
        path = (root / relative).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL byte; RuntimeError: a loop of links
        reason = getattr(error, "strerror", None) or error
        raise PairError("bad_image", f"image {shown(name)} cannot be found: {reason}") from error
    if not path.is_relative_to(root):
        raise PairError("bad_image", f"image {shown(name)} is a link that leads out of the data's folder")
    if not path.is_file():
        raise PairError("bad_image", f"image {shown(name)} is not a file")
    return path
