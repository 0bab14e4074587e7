"""What a reader calls a run: the name that it was given, or its checkpoint. The run's id, a time, says little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scheduler.base.text import one_line
from scheduler.store.checkpoints import recorded_step, step_in_name

_LONGEST = 80


def run_title(manifest: Mapping[str, Any], stamp: str) -> str:
    """Return the run's name; else the last two parts of the editor's checkpoint, with its step if that is not one of
    them, or of the place of edits made elsewhere; else the editor's type.
    """
    name = manifest.get("name")
    if isinstance(name, str) and name:
        return one_line(name, _LONGEST)
    editor, edits = (manifest.get(name) for name in ("editor", "edits"))
    editor = editor if isinstance(editor, Mapping) else {}
    place = edits.get("from") if isinstance(edits, Mapping) else None
    for path in (place, editor.get("model_name")):
        if isinstance(path, str) and (parts := [part for part in path.split("/") if part not in ("", ".")]):
            title = "/".join(parts[-2:])
            step = None if path == place else recorded_step(manifest)
            return one_line(title if step in (None, step_in_name(title)) else f"{title} step {step}", _LONGEST)
    kind = editor.get("type")
    return one_line(kind if isinstance(kind, str) and kind else stamp, _LONGEST)


def run_titles(runs: Sequence[tuple[Mapping[str, Any], str]]) -> list[str]:
    """Return the titles of runs, given their manifests and ids; runs of one checkpoint also have their ids."""
    titles = [run_title(manifest, stamp) for manifest, stamp in runs]
    counts = Counter(titles)
    return [
        title if counts[title] == 1 or title == stamp else f"{title} {stamp}"
        for title, (_, stamp) in zip(titles, runs, strict=True)
    ]
