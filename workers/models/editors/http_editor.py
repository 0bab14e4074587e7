"""An editor behind a server with `/v1/images/edits`: SGLang, vLLM-Omni, OpenAI, a gateway.

Each worker has one request in flight and needs no device; ``max_concurrency`` says how many workers there are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

import msgspec
from PIL import Image

from protocol.messages import ModelSpec, Residency
from workers.interface import Editor, EditRequest, ModelError, Progress
from workers.models.declaration import Conflict, Key, ModelType, ignored, pick
from workers.models.editors.http_edits import MAX_EDIT_REPLY, edit_request
from workers.models.keys import EDITOR_KEYS, model_name
from workers.models.served.client import Meter, ServerClient
from workers.models.served.keys import (
    API_KEY_ENV,
    BASE_URL,
    NO_DEVICE,
    RETRY_KEYS,
    RequestSettings,
    variables,
)
from workers.models.served.process import SERVER_KEY, ServedProcess, served_process, server_conflicts
from workers.models.served.replies import Failure

_NOT_SENT = "Left out: not sent, so the server decides."
_VERSION_SECONDS = 20.0
"""How often the server is asked for its version."""
_OURS = ("model", "prompt", "image", "image[]", "n")


def _optional(name: str, meaning: str) -> Key:
    key = next(key for key in EDITOR_KEYS if key.name == name)
    return replace(key, default=None, meaning=f"{meaning} {_NOT_SENT}")


def _conflicts(values: Mapping[str, Any]) -> Iterator[Conflict]:
    yield from server_conflicts(values)
    if values["device_ids"] is not None:
        message = "names devices, and this editor uses none"
        yield Conflict((("device_ids",),), message, "write `max_concurrency`: a worker for each request in flight")
    if (values["height"] is None) != (values["width"] is None):
        yield Conflict((("height",), ("width",)), "a server takes both or none", "write both")
    for name, value in (values["parameters"] or {}).items():
        if name in _OURS:
            yield Conflict((("parameters", str(name)),), "can't be set here: warmbench sets it")
        elif value is not None and values.get(name) is not None:
            yield Conflict((("parameters", str(name)), (str(name),)), "is set twice", "keep one of the two")


DECLARATION = ModelType(
    name="http",
    role="editor",
    meaning="A model behind a server with `/v1/images/edits`: SGLang, vLLM-Omni, OpenAI.",
    target="workers.models.editors.http_editor:HttpEditor",
    keys=(
        model_name(None, "The model, as its server calls it."),
        BASE_URL,
        SERVER_KEY,
        API_KEY_ENV,
        Key(
            "max_concurrency",
            "int",
            4,
            "How many requests are in flight: each is made by a worker of its own.",
            "process",
            low=1,
            high=64,
        ),
        *RETRY_KEYS,
        _optional("num_inference_steps", "Denoising steps."),
        _optional("true_cfg_scale", "Guidance by the instruction."),
        Key("guidance_scale", "float", None, f"Guidance. {_NOT_SENT}", low=0, high=100),
        _optional("negative_prompt", "What the edit should not be."),
        *pick(EDITOR_KEYS, "height", "width", "seed", "images"),
        Key("parameters", "mapping", None, "Further fields of the request; null: a field that is not to be sent."),
        replace(*pick(EDITOR_KEYS, "enable_batch_sync"), default=False),
        *ignored(pick(EDITOR_KEYS, "threads_per_worker"), "threads_per_worker"),
        replace(NO_DEVICE, because="the model is on a server, and its workers need no device"),
        *pick(EDITOR_KEYS, "device_ids", "conda_env", "python"),
    ),
    rules=(_conflicts,),
    needs="none",
    packages={"openai": "2", "PIL": "11", "numpy": ""},
    variables=variables,
    workers_key="max_concurrency",
)


class HttpEditor(Editor):
    """Asks a server for one edit at a time. A failure has a kind of ``served.replies``.

    A server of another version makes other edits: a worker that finds one ends, and is started anew.
    """

    def __init__(self, spec: ModelSpec, device: str) -> None:
        super().__init__(spec, device)
        self._client: ServerClient | None = None
        self._served: ServedProcess | None = None
        self._version: str | None = None
        self._closed = threading.Event()

    def load(self, residency: Residency) -> None:  # noqa: ARG002 - the model is elsewhere
        """Connect to the server.

        Raises:
            ModelError: ``config``: there is no key; ``load``: nothing answers; ``unauthorized``: it refuses the key;
                ``server``: the workers' own server does not start.
        """
        self._served = served_process(self.spec, self.context)
        if self._served is not None:
            self._served.start()
        self._client = client = ServerClient(self.spec, self._served, max_reply=MAX_EDIT_REPLY)
        client.submit(client.check(), lambda: None).result()
        self._version = client.submit(client.server_version(), lambda: None).result()
        if self._version is not None and self._served is None:
            threading.Thread(target=self._watch_version, args=(client,), name="version", daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        if self._client is not None:
            self._client.close()
        if self._served is not None:
            self._served.close()

    def load_bytes(self, residency: Residency) -> int:  # noqa: ARG002 - the model is elsewhere
        return 0

    def revision(self) -> str | None:
        return self._version

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import version

        versions = {package: version(package) for package in ("openai", "httpx2", "pillow")}
        return versions | ({"server": self._version} if self._version else {})

    def edit(self, request: EditRequest, progress: Progress) -> Image.Image:
        """Ask for the edit, again where a failure may pass.

        Raises:
            ModelError: of a kind of ``served.replies``, or ``config``: a parameter is wrong.
        """
        if self._client is None:
            raise ModelError("not_ready", "the editor is not connected")
        try:
            settings = msgspec.convert({**request.parameters, "max_concurrency": 1}, RequestSettings)
        except msgspec.ValidationError as error:
            raise ModelError("config", f"diffusion_model.params: {error}") from error
        asked = edit_request(request, self.spec.name or "", is_openai=self._client.is_openai)
        work = self._client.ask(asked, settings, Meter())
        result = self._client.submit(work, lambda: progress(0, 0)).result()
        if isinstance(result, Failure):
            raise ModelError(result.kind, result.message)
        if self._version is not None and self._served is None and self._is_other_server(self._client):
            raise ModelError("error", "the server is of another version now")
        return result

    def _watch_version(self, client: ServerClient) -> None:
        while not self._closed.wait(_VERSION_SECONDS) and not self._is_other_server(client):
            pass

    def _is_other_server(self, client: ServerClient) -> bool:
        """Whether the server is of another version by now. Then this worker is about to end."""
        try:
            version = client.submit(client.server_version(), lambda: None).result()
        except (CancelledError, RuntimeError):  # it was closed
            return True
        if version in (None, self._version):
            return False
        self.context.outdated(f"the server was {self._version} and is {version} now, which makes other edits")
        return True
