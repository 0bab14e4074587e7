"""What a config asks of its workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgpack
import pytest

from scheduler.config.problems import ConfigError
from scheduler.config.requests import (
    edit_identity_parameters,
    edit_parameters,
    editor_spec,
    reward_spec,
    score_identity_parameters,
    score_parameters,
)
from tests.scheduler.config.written import load
from workers.models.declaration import Key
from workers.models.own import OWN

REAL = """
diffusion_model:
  type: multi_gpu_qwen_image_edit
  params: {model_name: ./models/editor, dtype: float32, threads_per_worker: 2, num_inference_steps: 8, height: 512}
reward_model:
  type: qwen3_vl
  params: {model_name: Qwen/Qwen3-VL-4B-Instruct, batch_size: 8, use_flash_attention: true, score_range: [1, 5]}
"""


def test_a_spec_holds_only_what_decides_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(tmp_path, REAL)
    editor, reward = editor_spec(config), reward_spec(config)
    assert (editor.role, editor.type, editor.class_path) == ("editor", "multi_gpu_qwen_image_edit", None)
    assert editor.name == str(tmp_path / "models" / "editor")
    assert editor.params == {"threads_per_worker": 2, "dtype": "float32", "optimizations": {}}
    assert reward.name == "Qwen/Qwen3-VL-4B-Instruct"
    assert reward.params == {"threads_per_worker": 1, "dtype": "bfloat16", "use_flash_attention": True}


def test_runs_that_differ_in_steps_seed_and_rounds_ask_for_the_same_model(tmp_path: Path) -> None:
    text = "diffusion_model: {{params: {{num_inference_steps: {0}, seed: {0}, enable_batch_sync: {1}}}}}"
    assert editor_spec(load(tmp_path, text.format(5, "true"))) == editor_spec(load(tmp_path, text.format(9, "false")))


def test_the_parameters_of_the_work(tmp_path: Path) -> None:
    config = load(tmp_path, REAL)
    assert edit_parameters(config) == {
        "num_inference_steps": 8,
        "true_cfg_scale": 4.0,
        "negative_prompt": " ",
        "height": 512,
        "width": None,
    }
    assert score_parameters(config) == {
        "scoring": "generate",
        "score_range": [1, 5],
        "max_new_tokens": 128,
        "use_batch_inference": True,
        "batch_size": 8,
        "min_pixels": None,
        "max_pixels": None,
        "compare_with_original": False,
    }


def test_without_batch_inference_the_batch_size_is_one(tmp_path: Path) -> None:
    config = load(tmp_path, "reward_model: {params: {use_batch_inference: false, batch_size: 8}}")
    assert score_parameters(config)["batch_size"] == 1
    assert config.reward_model.params.effective_batch_size == 1


def test_simulated_models_get_their_own_parameters(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
diffusion_model: {type: simulated, params: {latency_ms: 7, load_seconds: 2, faults: {crash: 0.5, oom: [a/1]}}}
reward_model: {type: simulated, params: {per_item_ms: 3, place_seconds: 1, burn_cpu: true}}
""",
    )
    assert editor_spec(config).params == {"threads_per_worker": 1, "load_seconds": 2, "place_seconds": 0.0}
    assert editor_spec(config).name == "simulated"
    assert reward_spec(config).params["place_seconds"] == 1
    edit = edit_parameters(config)
    assert edit["latency_ms"] == 7
    assert edit["faults"] == {"crash": 0.5, "oom": ["a/1"]}
    score = score_parameters(config)
    assert (score["per_item_ms"], score["burn_cpu"], score["faults"]) == (3, True, {})


def test_what_a_simulated_reward_prefers_decides_its_scores_and_needs_the_source(tmp_path: Path) -> None:
    asked = "reward_model: {type: simulated, params: {prefers: change, compare_with_original: true}}"
    config = load(tmp_path, asked)
    assert score_parameters(config)["prefers"] == "change"
    assert score_identity_parameters(config)["prefers"] == "change"
    assert score_parameters(load(tmp_path, "reward_model: {type: simulated}"))["prefers"] == "nothing"
    assert "prefers" not in score_parameters(load(tmp_path, "reward_model: {type: qwen3_vl}"))
    with pytest.raises(ConfigError, match=r"reward_model\.params\.prefers.*change can't be seen without the source"):
        load(tmp_path, "reward_model: {type: simulated, params: {prefers: change}}")


@pytest.mark.parametrize("text", [REAL, "diffusion_model: {type: simulated}\nreward_model: {type: simulated}"])
def test_everything_can_travel_in_a_message(tmp_path: Path, text: str) -> None:
    config = load(tmp_path, text)
    for params in (
        editor_spec(config).params,
        reward_spec(config).params,
        edit_parameters(config),
        score_parameters(config),
    ):
        assert msgpack.unpackb(msgpack.packb(params)) == params


def test_a_key_that_is_added_later_enters_identities_and_specs_only_where_it_differs_from_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "diffusion_model: {class_path: a.B, params: {model_name: m%s}}"
    before = load(tmp_path, text % "")
    added = (
        Key("output_size", "choice", "pipeline", choices=("pipeline", "source"), later=True),
        Key("kept_on", "choice", "none", affects="load", choices=("none", "model"), later=True),
    )
    model = OWN["editor"]
    monkeypatch.setitem(OWN, "editor", replace(model, keys=(*model.keys, *added)))
    for values in ("", ", output_size: pipeline, kept_on: none"):
        default = load(tmp_path, text % values)
        assert edit_identity_parameters(default) == edit_identity_parameters(before)
        assert editor_spec(default) == editor_spec(before)
        assert edit_parameters(default) == edit_parameters(before) | {"output_size": "pipeline"}
    changed = load(tmp_path, text % ", output_size: source, kept_on: model")
    assert edit_identity_parameters(changed) == edit_identity_parameters(before) | {"output_size": "source"}
    assert editor_spec(changed).params == editor_spec(before).params | {"kept_on": "model"}
