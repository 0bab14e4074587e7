"""What a worker reports of its loaded model, and stamps that show whether the model's files have changed."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from protocol.codec import encode
from protocol.messages import Heartbeat, LoadedModel, ModelSpec, Residency, WorkerState
from workers.file_hashes import file_stamps, name_in_hub_cache
from workers.interface import Model, ModelError
from workers.models.hub import weight_files


def stamps_before_loading(model: Model) -> Mapping[str, str]:
    """The stamps of the files that the model is about to read, as far as they are known before loading."""
    try:
        # Some models know their files only once they are loaded; a local folder's files are visible before.
        return file_stamps(model.weight_files() or _files_of_folder(model.spec.name))
    except Exception:  # noqa: BLE001 - a user's model may raise anything here; loading it reports what is wrong
        return {}


def _files_of_folder(name: str | None) -> Sequence[str]:
    folder = Path(name or "").expanduser().absolute()
    is_model = any((folder / entry).is_file() for entry in ("model_index.json", "config.json"))
    return weight_files(folder) if name and is_model else ()


def describe(model: Model, spec: ModelSpec, fingerprint: str, load_seconds: float, residency: Residency) -> LoadedModel:
    """What heartbeats report of the model, which is where ``residency`` says.

    Raises:
        ModelError: kind ``config``: its ``size_bytes`` or ``versions`` returns what cannot be sent.
    """
    # The packages on which the scheduler's environment has to agree.
    shared = {name: metadata.version(name) for name in ("pyzmq", "msgpack", "msgspec")}
    try:
        versions = {str(name): str(version) for name, version in dict(model.versions()).items()}
        size = int(model.size_bytes())
        own = model.load_bytes("host") if residency == "disk" else model.host_bytes()
        loaded = LoadedModel(
            spec=spec,
            fingerprint=fingerprint,
            size_bytes=size,
            host_bytes=size if own is None else int(own),
            load_seconds=load_seconds,
            hashed="name" if any(name_in_hub_cache(Path(name)) for name in model.weight_files()) else "content",
            versions={"python": platform.python_version(), **shared, **versions},
        )
        # A heartbeat that cannot be sent would end the worker; here it only fails the load.
        encode(Heartbeat(run="any", incarnation="any", state=WorkerState(phase="ready", model=loaded)))
    except (TypeError, ValueError, OverflowError) as error:
        text = f"size_bytes() or versions() of {type(model).__name__} is not usable: {error}"
        raise ModelError("config", text) from error
    return loaded
