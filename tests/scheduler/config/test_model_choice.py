"""``type`` or ``class_path``: which class a model's section has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scheduler.config.requests import edit_parameters, editor_spec, reward_spec, score_parameters
from tests.scheduler.config.written import load, only_problem

OWN = """
diffusion_model:
  class_path: my_package.editors.Mine
  params: {device: cpu, strength: 0.7, schedule: {steps: [1, 2]}}
reward_model:
  class_path: my_package.rewards.Mine
  params: {model_name: whatever, temperature: 2}
"""


def test_free_params_of_a_class_of_ones_own_go_to_loading_and_to_work(tmp_path: Path) -> None:
    config = load(tmp_path, OWN)
    free = {"strength": 0.7, "schedule": {"steps": [1, 2]}}
    assert editor_spec(config).class_path == "my_package.editors.Mine"
    assert editor_spec(config).type is None
    assert editor_spec(config).params.items() >= free.items()
    assert edit_parameters(config).items() >= free.items()
    assert reward_spec(config).params["temperature"] == 2
    assert score_parameters(config)["temperature"] == 2


def test_the_common_keys_of_a_class_of_ones_own_are_still_checked(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "diffusion_model: {class_path: a.B, params: {seed: -1}}")
    assert problem.path == "diffusion_model.params.seed"


def test_free_params_must_be_such_that_a_message_can_carry_them(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "diffusion_model: {class_path: a.B, params: {factor: .nan}}")
    assert problem.path == "diffusion_model.params.factor"
    assert "finite" in problem.message


def test_a_class_path_of_ones_own_beside_a_built_in_type_is_an_error(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "reward_model: {type: qwen3_vl, class_path: a.B}")
    assert problem.path == "reward_model.class_path"
    assert problem.hint == "keep one of the two"


def test_a_class_of_the_old_system_alone_is_pointed_to_its_type(tmp_path: Path) -> None:
    problem = only_problem(
        tmp_path, "reward_model: {class_path: src.models.reward.implementations.qwen3_vl_reward.Qwen3VLRewardModel}"
    )
    assert problem.hint == "write `type: qwen3_vl` instead"


def test_a_name_that_the_hub_does_not_know_runs_under_the_right_one_with_one_notice(tmp_path: Path) -> None:
    text = "reward_model: {params: {model_name: %s}}"
    config = load(tmp_path, text % "Qwen/Qwen3-VL-30B-Instruct")
    assert reward_spec(config).name == config.reward_model.params.model_name == "Qwen/Qwen3-VL-30B-A3B-Instruct"
    (notice,) = config.notices
    assert notice.startswith(
        "reward_model.params.model_name: Qwen/Qwen3-VL-30B-Instruct is called Qwen/Qwen3-VL-30B-A3B"
    )
    right = load(tmp_path, text % "Qwen/Qwen3-VL-30B-A3B-Instruct")
    assert right == config
    assert right.notices == ()


def test_a_folder_keeps_its_name_whatever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Qwen" / "Qwen3-VL-30B-Instruct").mkdir(parents=True)
    config = load(tmp_path, "reward_model: {params: {model_name: Qwen/Qwen3-VL-30B-Instruct}}")
    assert config.reward_model.params.model_name == "Qwen/Qwen3-VL-30B-Instruct"
    assert config.notices == ()


def test_a_class_path_without_a_module_is_an_error(tmp_path: Path) -> None:
    assert only_problem(tmp_path, "reward_model: {class_path: Mine}").path == "reward_model.class_path"


def test_simulated_and_identity_accept_every_key_of_the_real_types(tmp_path: Path) -> None:
    text = """
diffusion_model:
  type: {editor}
  params: {{model_name: x, device_ids: [0, 1], dtype: float16, seed: 3, optimizations: {{fp8: true}}, height: 64}}
reward_model:
  type: simulated
  params: {{conda_env: none, python: /no, scoring: logits, device: "cuda:3", faults: {{oom: [a/b]}}, per_item_ms: 2}}
"""
    for editor in ("simulated", "identity"):
        config = load(tmp_path, text.format(editor=editor))
        assert config.diffusion_model.type == editor
        assert score_parameters(config)["faults"] == {"oom": ["a/b"]}


def test_an_empty_list_of_faults_stays_one(tmp_path: Path) -> None:
    config = load(tmp_path, "diffusion_model: {type: simulated, params: {faults: {crash: []}}}")
    assert yaml.safe_load(config.as_resolved_yaml())["diffusion_model"]["params"]["faults"]["crash"] == []


def test_an_empty_params_is_as_good_as_none(tmp_path: Path) -> None:
    assert load(tmp_path, "reward_model:\n  type: qwen3_vl\n  params:\n").reward_model.params.batch_size == 4
