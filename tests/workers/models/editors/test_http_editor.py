"""The editor behind a server, with a real server: what is asked, what comes back, what goes wrong."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from protocol.messages import ModelSpec
from tests.image_server import ImageServer, in_base64
from tests.openai_request import FaultKind, Request
from tests.waiting import wait_until
from tests.workers.image_files import png_header
from tests.workers.models.editors.tiny_edits import picture
from workers.interface import EditRequest, ModelError, WorkerContext
from workers.models.editors.http_editor import HttpEditor

pytestmark = pytest.mark.slow

FAST = {"max_retries": 1, "request_timeout_seconds": 5.0}


@pytest.fixture(scope="module")
def server() -> Iterator[ImageServer]:
    with ImageServer(version="1.2.3") as running:
        yield running


@pytest.fixture
def editor(server: ImageServer) -> Iterator[HttpEditor]:
    with_editor = loaded(server)
    yield with_editor
    with_editor.close()


def loaded(server: ImageServer, **more: Any) -> HttpEditor:
    params = {"base_url": server.base_url, "api_key_env": "NO_SUCH_KEY", **more}
    editor = HttpEditor(ModelSpec(role="editor", type="http", name="some-editor", params=params), "cpu")
    editor.load("device")
    return editor


def request(*images: Image.Image, seed: int = 7, **parameters: Any) -> EditRequest:
    shown = images or (picture(),)
    return EditRequest(shown[0], "make it night", seed, "a/1", {**FAST, **parameters}, images=shown)


def failure(editor: HttpEditor, **parameters: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        editor.edit(request(**parameters), lambda *_: None)
    return caught.value


def test_the_edit_is_what_the_server_made_of_the_request(server: ImageServer, editor: HttpEditor) -> None:
    parameters: dict[str, Any] = {"num_inference_steps": 8, "guidance_scale": 2.5, "width": 32, "height": 48}
    made = editor.edit(request(parameters={"strength": 0.5, "hd": True, "n": None}, **parameters), lambda *_: None)
    assert made.size == (32, 48)
    assert made.getpixel((0, 0)) == (7, 0, 0)
    body = dict(server.requests[-1].body)
    assert [name for name, _ in body.pop("images")] == ["image"]
    assert body == {
        "model": "some-editor",
        "prompt": "make it night",
        "response_format": "b64_json",
        "seed": "7",
        "num_inference_steps": "8",
        "guidance_scale": "2.5",
        "size": "32x48",
        "strength": "0.5",
        "hd": "true",
    }


def test_all_source_images_are_sent_as_they_are(server: ImageServer, editor: HttpEditor) -> None:
    made = editor.edit(request(picture(), picture(-1.5)), lambda *_: None)
    assert [name for name, _ in server.requests[-1].body["images"]] == ["image[]", "image[]"]
    expected = np.asarray(ImageOps.invert(picture()))
    assert np.array_equal(np.asarray(made)[1:], expected[1:])


def test_a_long_edit_makes_progress() -> None:
    steps: list[tuple[int, int]] = []
    with ImageServer(latency=1.2) as slow:
        editor = loaded(slow)
        editor.edit(request(), lambda *step: steps.append(step))
        editor.close()
    assert len(steps) >= 2


def png(width: int, height: int, mode: str = "RGB") -> dict[str, Any]:
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, "PNG")
    return in_base64(stream.getvalue())


POLICY = {"error": {"code": "content_policy_violation", "message": "Your request was rejected by our safety system."}}


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ("bad_request", "bad_request", 1),
        ("filtered_400", "filtered", 1),
        ("half_json", "bad_reply", 2),
        ("html", "bad_reply", 2),
        ("compressed", "bad_reply", 2),
        ("rate_limit", "rate_limited", 2),
    ],
)
def test_a_failure_has_its_kind_and_is_repeated_where_it_may_pass(fault: Any, kind: str, requests: int) -> None:
    with ImageServer(fault=lambda _: fault) as bad:
        editor = loaded(bad)
        assert failure(editor).kind == kind
        assert len(bad.requests) == requests
        editor.close()


@pytest.mark.parametrize(
    ("made", "kind", "message", "requests"),
    [
        (POLICY, "filtered", "content filter refused", 1),
        ({"data": [{"url": "http://127.0.0.1:1/steal"}]}, "bad_parameter", "the address of an image", 1),
        ({"data": [{}]}, "bad_reply", "has no image", 2),
        ({"data": [{"b64_json": "<html>"}]}, "bad_reply", "is no base64", 2),
        (in_base64(b"GIF89a, or not"), "bad_reply", "can't be read", 2),
        (in_base64(png_header(12_000, 9_000)), "bad_reply", "can't be read: .*too large to decode", 1),
        (png(64, 64), "bad_parameter", "`size`.* it made 64x64 of 32x48", 1),
    ],
)
def test_a_reply_without_the_image_that_was_asked_for_is_a_failure_with_its_reason(
    made: dict[str, Any], kind: str, message: str, requests: int
) -> None:
    with ImageServer(made=lambda _: made) as bad:
        editor = loaded(bad)
        failed = failure(editor, width=32, height=48)
        assert failed.kind == kind
        assert re.search(message, str(failed))
        assert len(bad.requests) == requests
        editor.close()


def test_transparency_of_an_edit_is_kept() -> None:
    with ImageServer(made=lambda _: png(8, 8, mode="RGBA")) as server:
        editor = loaded(server)
        assert editor.edit(request(), lambda *_: None).mode == "RGBA"
        editor.close()


def test_the_key_goes_to_no_other_server_and_into_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDIT_KEY", "sk-very-secret")
    echo = {"error": {"code": "invalid_value", "message": "no prompt for sk-very-secret"}}
    with ImageServer() as other, ImageServer(redirect=other.base_url) as server:
        editor = loaded(server, api_key_env="EDIT_KEY")
        assert failure(editor).kind == "bad_request"
        assert not other.requests
        editor.close()
    with ImageServer(made=lambda _: echo) as server:
        editor = loaded(server, api_key_env="EDIT_KEY")
        assert "no prompt for ***" in str(failure(editor))
        assert server.requests[0].key == "sk-very-secret"
        editor.close()


def test_an_answer_after_a_failure_counts() -> None:
    with ImageServer(fault=lambda request: "server_error" if request.attempt == 0 else None) as flaky:
        editor = loaded(flaky)
        assert editor.edit(request(), lambda *_: None).size == picture().size
        assert len(flaky.requests) == 2
        editor.close()


def test_a_server_that_wants_a_pause_gets_it() -> None:
    def fault(request: Request) -> FaultKind | None:
        return "rate_limit_seconds" if request.attempt == 0 else None

    with ImageServer(fault=fault, retry_after=1.0) as busy:
        editor = loaded(busy)
        editor.edit(request(), lambda *_: None)
        first, second = busy.requests
        assert second.seconds - first.seconds >= 1.0
        editor.close()


def test_a_request_that_is_not_answered_in_time_has_failed() -> None:
    with ImageServer(fault=lambda _: "never") as silent:
        editor = loaded(silent)
        assert failure(editor, request_timeout_seconds=1.0, max_retries=0).kind == "timeout"
        editor.close()


def test_what_every_request_would_fail_for_is_named() -> None:
    with ImageServer(accepted="right", models=["other"], refused_parameters=["seed"]) as strict:
        with pytest.raises(ModelError, match="does not accept the key") as caught:
            loaded(strict)
        assert caught.value.kind == "unauthorized"
        strict.accepted = None
        editor = loaded(strict)
        assert failure(editor).kind == "unknown_model"
        strict.models = None
        editor.close()
        editor = loaded(strict)
        refused = failure(editor)
        assert (refused.kind, "`seed`" in str(refused)) == ("bad_parameter", True)
        editor.close()
        editor = loaded(strict)
        assert editor.edit(request(parameters={"seed": None}), lambda *_: None).size == picture().size
        editor.close()


def test_the_server_and_its_version_are_those_of_the_edits(server: ImageServer, editor: HttpEditor) -> None:
    from workers.models.registry import EDITORS

    assert editor.revision() == "1.2.3"
    assert editor.versions()["server"] == "1.2.3"
    base_url = EDITORS.get("http").key("base_url")
    assert base_url is not None
    assert base_url.affects == "load"
    with ImageServer() as silent:
        other = loaded(silent)
        assert other.revision() is None
        other.close()


def test_a_server_of_another_version_ends_the_worker_and_its_edit_does_not_count() -> None:
    outdated: list[str] = []
    with ImageServer(version="1.2.3") as upgraded:
        editor = loaded(upgraded)
        editor.context = WorkerContext(outdated=outdated.append)
        editor.edit(request(), lambda *_: None)
        upgraded.version = None
        editor.edit(request(), lambda *_: None)
        assert not outdated
        upgraded.version = "1.3.0"
        assert failure(editor).kind == "error"
        assert outdated == ["the server was 1.2.3 and is 1.3.0 now, which makes other edits"]
        editor.close()


def test_an_idle_worker_learns_that_the_server_is_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.models.editors.http_editor._VERSION_SECONDS", 0.01)
    outdated: list[str] = []
    with ImageServer(version="1.2.3") as upgraded:
        editor = loaded(upgraded)
        editor.context = WorkerContext(outdated=outdated.append)
        upgraded.version = "1.3.0"
        wait_until(lambda: outdated)
        editor.close()


def test_nothing_answers() -> None:
    with ImageServer() as gone:
        pass
    with pytest.raises(ModelError, match="is the server up, and base_url right") as caught:
        loaded(gone)
    assert caught.value.kind == "load"
