"""Sends checkpoints to the real libraries and reads back what they have: a process of its own, as their imports take
seconds and one of them starts a service. ``python -m tests.scheduler.trackers.real_trackers FOLDER``, with the runs as
JSON on standard input; what was read is ``FOLDER/read.json``.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from scheduler.config.tracker_section import trackers_section
from scheduler.trackers.declaration import TRACKERS, TrackedRun


def main(folder: Path, runs: list[TrackedRun]) -> None:
    """Send every run to every tracker, and read."""
    store = f"sqlite:///{folder}/mlflow.db"
    given = {
        "wandb": {"mode": "offline", "project": "edits", "tags": ["nightly"], "group": "baselines"},
        "mlflow": {"tracking_uri": store, "experiment": "edits", "tags": {"team": "vision"}},
        "tensorboard": None,
    }
    wanted = trackers_section().model_validate(given).wanted
    where = {name: [TRACKERS.get(name).send(run, options) for run in runs] for name, options in wanted.items()}
    read = {
        "wandb": [read_wandb(path) for path in sorted(folder.glob("wandb/offline-run-*"))],
        "mlflow": read_mlflow(store),
        "tensorboard": {path.name: read_tensorboard(path) for path in sorted(folder.glob("tensorboard/*"))},
    }
    (folder / "read.json").write_text(json.dumps({"where": where, **read}), encoding="utf-8")


def read_wandb(folder: Path) -> dict[str, Any]:
    """The records of an offline run, which ``wandb sync`` uploads."""
    from wandb.proto import wandb_internal_pb2

    (path,) = folder.glob("*.wandb")
    read: dict[str, Any] = {"history": [], "metrics": {}}
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.HasField("run"):
            run = record.run
            config = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in run.config.update}
            read |= {"id": run.run_id, "name": run.display_name, "project": run.project, "tags": list(run.tags)}
            read |= {"group": run.run_group, "config": config}
        elif record.HasField("history"):
            items = record.history.item
            read["history"].append(
                {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            )
        elif record.HasField("artifact"):
            contents = {item.path: item.local_path for item in record.artifact.manifest.contents}
            read["artifact"] = sorted(contents)
            read["table"] = json.loads(Path(contents["eval/table.table.json"]).read_text(encoding="utf-8"))
        elif record.HasField("metric"):
            read["metrics"][record.metric.name or record.metric.glob_name] = record.metric.step_metric
    files = folder / "files"
    read["files"] = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())
    return read


def records(content: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format: blocks of 32 KiB, in which each part of a record has a CRC, its
    length, and its type (1: whole, 2: first, 3: middle, 4: last). W&B's file begins with 7 bytes of its own.
    """
    assert content[:4] == b":W&B"
    place, record = 7, b""
    while place < len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def read_mlflow(store: str) -> list[dict[str, Any]]:
    """The runs of the experiment, by its client."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("edits")
    runs = []
    for run in client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"]):
        run_id, series = run.info.run_id, {}
        for name in run.data.metrics:
            series[name] = [[metric.step, metric.value] for metric in client.get_metric_history(run_id, name)]
        folder = Path(client.download_artifacts(run_id, ""))
        tables = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("eval/pairs-*.json")}
        runs.append(
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "tags": dict(run.data.tags),
                "params": dict(run.data.params),
                "metrics": series,
                "tables": tables,
                "files": sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()),
            }
        )
    return runs


def read_tensorboard(folder: Path) -> dict[str, Any]:
    """What TensorBoard shows of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    tags = events.Tags()
    return {
        "scalars": {tag: [[event.step, event.value] for event in events.Scalars(tag)] for tag in tags["scalars"]},
        "images": {tag: [[event.step, event.width] for event in events.Images(tag)] for tag in tags["images"]},
        "texts": {
            tag: [event.tensor_proto.string_val[0].decode() for event in events.Tensors(tag)] for tag in tags["tensors"]
        },
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), msgspec.json.decode(sys.stdin.buffer.read(), type=list[TrackedRun]))
