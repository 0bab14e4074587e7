"""MLflow: a tracking server, or a local store."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scheduler.trackers.declaration import TrackedRun, TrackerType
from workers.models.declaration import Key

_SERIES = "warmbench.series"
_TABLES = "mlflow.loggedArtifacts"
_NOT_IN_NAMES = re.compile(r"[^/\w.\- ]|\.\.")
_LONGEST_NAME, _LONGEST_VALUE = 250, 6000
_AT_ONCE = 100
"""The most parameters in one request."""


def send(run: TrackedRun, options: Mapping[str, Any]) -> str | None:
    """Add the results to the run of the series, or to the run ``run_id``."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    # Its default, 7, takes four minutes to say that there is no server.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    client = MlflowClient(tracking_uri=options["tracking_uri"])
    own = options["run_id"] is None
    run_id = _run_of_series(client, run, options) if own else options["run_id"]
    now = int(time.time() * 1000)
    numbers = allowed_names({f"{run.prefix}/{name}": value for name, value in run.numbers.items()})
    client.log_batch(run_id, metrics=[Metric(name, value, now, run.step or 0) for name, value in numbers.items()])
    known = client.get_run(run_id).data.params  # a parameter that is there cannot be changed
    settings = allowed_names({f"warmbench.{name}": value for name, value in run.settings.items()})
    new = [Param(name, str(value)[:_LONGEST_VALUE]) for name, value in settings.items() if name not in known]
    for start in range(0, len(new), _AT_ONCE):
        client.log_batch(run_id, params=new[start : start + _AT_ONCE])
    _log_files(client, run_id, run)
    if own:
        client.set_terminated(run_id)
    return f"run {run_id} of {_shown(options['tracking_uri'] or os.environ.get('MLFLOW_TRACKING_URI'))}"


def allowed_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by names that MLflow takes: letters, digits and ``_-./``, 250 characters at most."""
    named: dict[str, Any] = {}
    for name, value in values.items():
        plain = _NOT_IN_NAMES.sub("_", name)[:_LONGEST_NAME]
        unique, number = plain, 2
        while unique in named:
            unique, number = f"{plain[: _LONGEST_NAME - 8]}_{number}", number + 1
        named[unique] = value
    return named


def _run_of_series(client: Any, run: TrackedRun, options: Mapping[str, Any]) -> str:
    experiment = options["experiment"] or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "warmbench"
    found = client.get_experiment_by_name(experiment)
    experiment_id = client.create_experiment(experiment) if found is None else found.experiment_id
    for known in client.search_runs([experiment_id], f"tags.`{_SERIES}` = '{run.series}'", max_results=1):
        client.update_run(known.info.run_id, status="RUNNING")
        return str(known.info.run_id)
    tags = {**{name: str(value) for name, value in options["tags"].items()}, _SERIES: run.series}
    return str(client.create_run(experiment_id, tags=tags, run_name=run.name).info.run_id)


def _log_files(client: Any, run_id: str, run: TrackedRun) -> None:
    """The run's files, and the pairs as ``log_table`` of MLflow writes a table, which would need pandas."""
    table = f"{run.prefix}/pairs-{run.run}.json"
    with tempfile.TemporaryDirectory() as folder:
        for name, path in run.files.items():
            _copy(path, Path(folder, "warmbench", run.run, name))
        rows: list[list[Any]] = []
        for number, pair in enumerate(run.pairs):
            images = []
            for kind, path in (("source", pair.source), ("edit", pair.edit)):
                place = f"table_images/{run.prefix}/{run.run}/{number}-{kind}.jpg"
                _copy(path, Path(folder, place))
                images.append({"type": "image", "filepath": place, "compressed_filepath": place})
            rows.append([pair.category, pair.pair_id, pair.instruction, *images, pair.score])
        if rows:
            columns = ["category", "pair", "instruction", "source", "edit", "score"]
            Path(folder, run.prefix).mkdir()
            Path(folder, table).write_text(json.dumps({"columns": columns, "data": rows}), encoding="utf-8")
        client.log_artifacts(run_id, folder)
    tables = json.loads(client.get_run(run_id).data.tags.get(_TABLES, "[]"))
    if rows and (entry := {"path": table, "type": "table"}) not in tables:
        client.set_tag(run_id, _TABLES, json.dumps([*tables, entry]))


def _copy(path: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, place)


def _shown(uri: str | None) -> str:
    """The address of the store without what may be secret in it."""
    return "MLflow's default store" if uri is None else re.sub(r"//[^/@]*@", "//", uri)


TRACKER = TrackerType(
    name="mlflow",
    meaning="MLflow: a tracking server, or a local store.",
    send=send,
    keys=(
        Key(
            "tracking_uri",
            "text",
            None,
            "The server or store, such as `http://HOST:5000` or `sqlite:///mlflow.db`. Left out: that of "
            "MLFLOW_TRACKING_URI, else MLflow's default.",
            pattern=r"(?!.*://[^/]*@)\S{1,2000}",
            high=2000,
            wanted="an address without user and password, which MLflow takes from MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD",
        ),
        Key("experiment", "text", None, "Left out: that of MLFLOW_EXPERIMENT_NAME, else `warmbench`.", low=1, high=250),
        Key(
            "run_id",
            "text",
            None,
            "The id of a run to write into, such as that of the training.",
            pattern=r"^[A-Za-z0-9_-]{1,128}$",
        ),
        Key("tags", "mapping", None, "Tags of its runs."),
    ),
    packages={"mlflow": "2.22", "sqlalchemy": "2", "alembic": "1.13"},
)
