"""What the manifest says of the workers."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from protocol import messages as m
from scheduler.store.manifest import add_workers

SPEC = m.ModelSpec(role="editor", type="qwen_image_edit", name="Qwen/Qwen-Image-Edit")


def worker(hashed: Literal["content", "name"]) -> m.WorkerStatus:
    model = m.LoadedModel(spec=SPEC, fingerprint="0" * 64, size_bytes=5, load_seconds=1.0, hashed=hashed)
    return m.WorkerStatus(
        worker_id="editor-0",
        role="editor",
        device="cuda:0",
        pid=7,
        alive=True,
        spec=SPEC,
        command=["python"],
        incarnation="a",
        log="/editor-0.log",
        started=0.0,
        state=m.WorkerState(phase="ready", model=model),
    )


@pytest.mark.parametrize(
    ("hashed", "said"),
    [
        ("content", "the SHA-256 of every file"),
        ("name", "the SHA-256 of every file; of large files in the hub's cache, that in their name (size checked)"),
    ],
)
def test_it_says_whether_weights_are_known_by_their_content_or_by_their_names_in_the_hubs_cache(
    hashed: Literal["content", "name"], said: str
) -> None:
    manifest: dict[str, Any] = {"environment": {}}
    add_workers(manifest, [worker(hashed)])
    assert manifest["workers"][0]["weights_identified_by"] == said
