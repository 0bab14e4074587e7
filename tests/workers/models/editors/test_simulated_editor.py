"""The editors without a model: what they give back, how long they take, and how they fail."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.workers.simulated_requests import edit_request, no_progress, spec_of, start_child_edit
from workers.interface import ModelError
from workers.models.editors.identity_editor import IdentityEditor
from workers.models.editors.simulated_editor import SimulatedEditor


@pytest.fixture
def editor() -> SimulatedEditor:
    editor = SimulatedEditor(spec_of("editor"), "cpu")
    editor.load("device")
    return editor


def noise(channels: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 11, channels)).astype(np.uint8))


def test_the_identity_editor_gives_back_the_source() -> None:
    editor = IdentityEditor(spec_of("editor"), "cpu")
    editor.load("device")
    image = noise(4)
    assert editor.edit(edit_request(image=image), no_progress).tobytes() == image.tobytes()


def test_rgb_is_inverted_exactly(editor: SimulatedEditor) -> None:
    image = noise(3)
    edited = editor.edit(edit_request(image=image, latency_ms=0), no_progress)
    assert edited.mode == "RGB"
    assert np.array_equal(np.asarray(edited), 255 - np.asarray(image))


def test_rgba_is_inverted_and_keeps_its_alpha(editor: SimulatedEditor) -> None:
    image = noise(4)
    edited = editor.edit(edit_request(image=image, latency_ms=0), no_progress)
    assert edited.mode == "RGBA"
    assert np.array_equal(np.asarray(edited)[..., :3], 255 - np.asarray(image)[..., :3])
    assert np.array_equal(np.asarray(edited)[..., 3], np.asarray(image)[..., 3])


@pytest.mark.parametrize("burn_cpu", [False, True])
def test_the_device_is_held_for_the_set_time_and_hardly_longer(editor: SimulatedEditor, burn_cpu: bool) -> None:
    held = []
    for _ in range(4):
        started = time.monotonic()
        editor.edit(edit_request(latency_ms=60, burn_cpu=burn_cpu), no_progress)
        held.append(time.monotonic() - started)
    assert 0.060 <= min(held) < 0.080


def test_burning_uses_the_processor_and_sleeping_does_not(editor: SimulatedEditor) -> None:
    used = {}
    for burn_cpu in (False, True):
        started = time.thread_time()
        editor.edit(edit_request(latency_ms=80, burn_cpu=burn_cpu), no_progress)
        used[burn_cpu] = time.thread_time() - started
    assert used[True] > 4 * used[False]


def test_progress_comes_at_least_every_50_ms(editor: SimulatedEditor) -> None:
    calls: list[tuple[int, int]] = []
    editor.edit(edit_request(latency_ms=120), lambda step, steps: calls.append((step, steps)))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_keys_of_the_real_editor_are_ignored(editor: SimulatedEditor) -> None:
    request = edit_request(latency_ms=0, num_inference_steps=50, true_cfg_scale=4.0, negative_prompt=" ", seed=3)
    assert editor.edit(request, no_progress).size == request.image.size


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"latency_ms": -1}, "latency_ms"),
        ({"sigma": "much"}, "sigma"),
        ({"faults": {"crash": 1.5}}, "faults"),
        ({"faults": {"explode": 0.1}}, "faults"),
        ({"score_range": [5, 5]}, "score_range"),
    ],
)
def test_a_wrong_parameter_is_named(editor: SimulatedEditor, parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        editor.edit(edit_request(**parameters), no_progress)
    assert caught.value.kind == "config"


def test_loading_and_moving_take_the_time_of_the_spec() -> None:
    editor = SimulatedEditor(spec_of("editor", load_seconds=0.03, place_seconds=0.02, model_name="any"), "cpu")
    started = time.monotonic()
    editor.load("host")
    loaded = time.monotonic()
    editor.place("device")
    assert loaded - started >= 0.03
    assert time.monotonic() - loaded >= 0.02
    assert editor.size_bytes() == 0


def test_a_wrong_load_time_is_refused_at_the_load() -> None:
    with pytest.raises(ModelError, match="load_seconds"):
        SimulatedEditor(spec_of("editor", load_seconds="long"), "cpu").load("device")


def test_oom_is_a_model_error_of_that_kind(editor: SimulatedEditor) -> None:
    with pytest.raises(ModelError) as caught:
        editor.edit(edit_request("环境/7", latency_ms=0, faults={"oom": ["环境/7"]}), no_progress)
    assert caught.value.kind == "oom"


def test_error_is_an_error_of_no_known_kind(editor: SimulatedEditor) -> None:
    with pytest.raises(RuntimeError):
        editor.edit(edit_request(latency_ms=0, faults={"error": 1.0}), no_progress)


def test_a_fault_comes_when_half_of_the_time_is_over(editor: SimulatedEditor) -> None:
    calls: list[tuple[int, int]] = []
    started = time.monotonic()
    with pytest.raises(RuntimeError):
        editor.edit(edit_request(latency_ms=100, faults={"error": 1.0}), lambda *call: calls.append(call))
    assert time.monotonic() - started >= 0.05
    assert calls == [(1, 1)]


def test_a_crash_is_a_sigkill_of_the_own_process() -> None:
    with start_child_edit("crash") as child:
        output, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert output.split("\n") == ["1 2", "2 2", ""]


def test_a_hang_makes_no_progress_and_never_ends() -> None:
    with start_child_edit("hang") as child:
        assert child.stdout is not None
        assert [child.stdout.readline() for _ in range(2)] == ["1 2\n", "2 2\n"]
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.3)
        child.kill()
        assert child.stdout.read() == ""
