"""TensorBoard: event files in a folder, for ``tensorboard --logdir``."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scheduler.trackers.declaration import TrackedRun, TrackerType
from workers.models.declaration import Key

_GAP = 4
"""Pixels between source and edit, which are one picture."""


def send(run: TrackedRun, options: Mapping[str, Any]) -> str | None:
    """Write an event file into the folder of the series."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    folder = Path(options["log_dir"]) if options["log_dir"] else Path(run.folder, "tensorboard", _folder_name(run))
    writer = EventFileWriter(str(folder))
    try:
        now = time.time()
        for value in _values(run, Summary):
            writer.add_event(Event(wall_time=now, step=run.step or 0, summary=Summary(value=[value])))
    finally:
        writer.close()
    return str(folder)


def _folder_name(run: TrackedRun) -> str:
    plain = re.sub(r"[^\w.-]+", "_", run.name).strip("._") or "run"
    return f"{plain}-{run.series[:6]}"


def _values(run: TrackedRun, summary: Any) -> Iterator[Any]:
    for name, number in run.numbers.items():
        yield summary.Value(tag=f"{run.prefix}/{name}", simple_value=number)
    for pair in run.pairs:
        content, (width, height) = _side_by_side(pair.source, pair.edit)
        image = summary.Image(width=width, height=height, colorspace=3, encoded_image_string=content)
        yield summary.Value(tag=f"{run.prefix}/edits/{pair.category}/{pair.pair_id}", image=image)
    settings = "".join(f"| {_cell(name)} | {_cell(value)} |\n" for name, value in run.settings.items())
    pairs = "".join(
        f"| {_cell(pair.category)}/{_cell(pair.pair_id)} | {_cell(pair.instruction)} | {_cell(pair.score)} |\n"
        for pair in run.pairs
    )
    yield _text(summary, f"{run.prefix}/settings", f"| setting | value |\n| --- | --- |\n{settings}")
    yield _text(summary, f"{run.prefix}/table", f"| pair | instruction | score |\n| --- | --- | --- |\n{pairs}")
    for name, path in run.files.items():
        text = Path(path).read_text(encoding="utf-8")
        yield _text(summary, f"{run.prefix}/files/{name}", "".join(f"    {line}\n" for line in text.splitlines()))


def _text(summary: Any, tag: str, text: str) -> Any:
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING
    from tensorboard.plugins.text.metadata import create_summary_metadata

    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()])
    return summary.Value(tag=tag, tensor=tensor, metadata=create_summary_metadata(tag, ""))


def _side_by_side(source: str, edit: str) -> tuple[bytes, tuple[int, int]]:
    """Return a JPEG with both, and its size."""
    import io

    from PIL import Image

    with Image.open(source) as left, Image.open(edit) as right:
        size = (left.width + _GAP + right.width, max(left.height, right.height))
        picture = Image.new("RGB", size, "white")
        picture.paste(left, (0, 0))
        picture.paste(right, (left.width + _GAP, 0))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue(), size


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return re.sub(r"([|\\`*_<>\[\]])", r"\\\1", " ".join(text.split()))


TRACKER = TrackerType(
    name="tensorboard",
    meaning="TensorBoard: event files in a folder.",
    send=send,
    keys=(
        Key(
            "log_dir",
            "path",
            None,
            "The folder of the event files; left out: one for each series, in `<output_dir>/tensorboard`.",
        ),
    ),
    packages={"tensorboard": "2.15"},
)
