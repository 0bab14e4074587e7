"""Every mistake is an error that names its key, what was found, what is allowed, and what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.config.checks.environment import Environment, category_problems
from scheduler.config.loading import load_config
from scheduler.config.problems import ConfigError
from tests.scheduler.config.written import load, only_problem, problems_of, write

FIFTEEN = """
benchmark:
  data_path: no_such_file.json
  categories: [no, 天气]
  limit: 0
diffusion_model:
  type: qwen_image_edt
  params:
    model_name: ./no/such/folder
    num_inference_step: 3
    device: cuda:7
reward_model:
  type: qwen3_vl_subprocess
  params:
    model_name: ./neither/this/one
    conda_env: no_such_environment
    do_sample: true
prompts:
  物理:
    system_prompt: "{who} are you"
    user_prompt_template: "ok"
evaluation:
  metrics: [mean, average]
  output_dir: /proc/nowhere
  save_images: true
pool:
  transport: tcp://10.0.0.1:5555
scheduler:
  residency: swapped
"""

EACH = {
    "benchmark.data_path",
    "benchmark.categories[0]",
    "benchmark.categories",
    "benchmark.limit",
    "diffusion_model.type",
    "diffusion_model.params.model_name",
    "diffusion_model.params.num_inference_step",
    "diffusion_model.params.device",
    "reward_model.params.model_name",
    "reward_model.params.conda_env",
    "reward_model.params.do_sample",
    "prompts.物理.system_prompt",
    "evaluation.metrics[1]",
    "evaluation.output_dir",
    "evaluation.save_images",
    "pool.transport",
    "scheduler.residency",
}


def test_many_different_mistakes_are_all_reported_at_once_and_each_once(tmp_path: Path) -> None:
    environment = Environment(more=(lambda config: category_problems(config, ["物理", "天空"]),))
    found = [problem.path for problem in problems_of(tmp_path, FIFTEEN, environment=environment)]
    assert len(found) == len(EACH)
    assert set(found) == EACH


def test_the_terminal_text_names_file_key_line_and_nearest_key(tmp_path: Path) -> None:
    path = write(tmp_path, "diffusion_model:\n  params:\n    num_inference_step: 3\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    text = str(caught.value)
    assert str(path) in text
    assert "diffusion_model.params.num_inference_step: unknown key (line 3)" in text
    assert "did you mean `num_inference_steps`?" in text


@pytest.mark.parametrize(
    ("text", "path", "message", "hint"),
    [
        ("benchmarks: {}", "benchmarks", "unknown section", "`benchmark`"),
        ("limit: 3", "limit", "unknown section", "is a key of `benchmark`"),
        ("evaluation: [mean]", "evaluation", "must be a mapping, found ['mean']", None),
        ("evaluation: {metric: [mean]}", "evaluation.metric", "unknown key", "`metrics`"),
        ("evaluation: {metrics: mean}", "evaluation.metrics", "must be a list", "[mean]"),
        ("evaluation: {metrics: [avg]}", "evaluation.metrics[0]", "must be one of mean, std", None),
        ("evaluation: {metrics: []}", "evaluation.metrics", "at least 1", None),
        ("evaluation: {metrics: [mean, mean]}", "evaluation.metrics", "twice", None),
        ("evaluation: {samples_per_pair: 0}", "evaluation.samples_per_pair", "must be 1 to 1000, found 0", None),
        ("evaluation: {samples_per_pair: true}", "evaluation.samples_per_pair", "must be a whole number", None),
        ("evaluation: {save_generated_images: 1}", "evaluation.save_generated_images", "must be true or false", None),
        ("evaluation: {output_dir: ''}", "evaluation.output_dir", "an empty text", None),
        ("benchmark: {categories: [[a]]}", "benchmark.categories[0]", "must be a name", None),
        ("benchmark: {categories: [a/b]}", "benchmark.categories[0]", "must not be", None),
        ("benchmark: {categories: [a, a]}", "benchmark.categories", "twice", None),
        ("logging: {level: info}", "logging.level", "must be one of DEBUG", "`INFO`"),
        ("pool: {name: ../up}", "pool.name", "can't name a pool", None),
        ("pool: {transport: tcp://10.0.0.1:5}", "pool.transport", "the address as `listen`", None),
        ("pool: {transport: tcp://127.0.0.1}", "pool.transport", "write `transport: tcp`", None),
        ("scheduler: {max_failures: 1.5}", "scheduler.max_failures", "a fraction (0.0 to 1.0), found 1.5", None),
        ("scheduler: {dead_after_seconds: .inf}", "scheduler.dead_after_seconds", "must be a finite number", None),
        ("scheduler: {dead_after_seconds: 0}", "scheduler.dead_after_seconds", "0.02 to 86400", None),
        ("scheduler: {dead_after_seconds: 1.5}", "scheduler.dead_after_seconds", "two heartbeats", None),
        ("scheduler: {heartbeat_seconds: '1'}", "scheduler.heartbeat_seconds", "a number", "leave the quotes out: 1"),
        ("benchmark: {limit: 010}", "benchmark.limit", "found '010'", "8 (octal) in YAML 1.1, 10 in YAML 1.2"),
        ("benchmark: {limit: 08}", "benchmark.limit", "found '08'", "leave out the leading zeros: 8"),
        ("scheduler: {max_failures: 010}", "scheduler.max_failures", "found '010'", "write 8 or 10"),
        ("diffusion_model: {params: {device: 1}}", "diffusion_model.params.device", "write cuda:1", None),
        (
            "diffusion_model: {params: {device: cpu, device_ids: [0]}}",
            "diffusion_model.params.device_ids",
            "beside `device`",
            "keep one of the two",
        ),
        ("diffusion_model: {params: {sigma: 1}}", "diffusion_model.params.sigma", "unknown", "to type simulated"),
        ("diffusion_model: {params: {batch_size: 2}}", "diffusion_model.params.batch_size", "unknown", "reward_model"),
        ("diffusion_model: {params: {dtype: bf16}}", "diffusion_model.params.dtype", "found 'bf16'", "bfloat16"),
        ("diffusion_model: {params: {model_name: null}}", "diffusion_model.params.model_name", "found nothing", None),
        ("diffusion_model: {params: {negative_prompt: 5}}", "diffusion_model.params.negative_prompt", "text", '"5"'),
        ("reward_model: {params: {batch_size: 257}}", "reward_model.params.batch_size", "must be 1 to 256", None),
        ("reward_model: {params: {do_sample: true}}", "reward_model.params.do_sample", "must be false", None),
        ("reward_model: {params: {score_range: [5, 5]}}", "reward_model.params.score_range", "lower one first", None),
        (
            "reward_model: {params: {scoring: logits, score_range: [0, 100]}}",
            "reward_model.params.score_range",
            "0 to 19",
            "generate",
        ),
        ("reward_model: {params: {min_pixels: 9, max_pixels: 4}}", "reward_model.params.min_pixels", "above", None),
        ("reward_model: {params: {device_ids: [0], device: cpu}}", "reward_model.params.device_ids", "beside", None),
        ("reward_model: {params: {device_ids: ['cuda:1']}}", "reward_model.params.device_ids[0]", "write 1", None),
        ("reward_model: {params: {conda_env: a/b}}", "reward_model.params.conda_env", "conda environment", None),
        ("reward_model: {type: qwen3_vl_subprocess}", "reward_model.params.conda_env", "is missing", "python"),
        (
            "reward_model: {type: qwen3_vl_subprocess, params: {conda_env: a, python: /b}}",
            "reward_model.params.conda_env",
            "beside `python`",
            None,
        ),
        ("reward_model: {type: qwen}", "reward_model.type", "there is no reward of type 'qwen'", None),
        (
            "diffusion_model: {type: simulated, params: {faults: {crash: 2}}}",
            "diffusion_model.params.faults.crash",
            "a probability",
            None,
        ),
        (
            "diffusion_model: {type: simulated, params: {faults: {crsh: 1}}}",
            "diffusion_model.params.faults.crsh",
            "unknown key",
            "`crash`",
        ),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, text: str, path: str, message: str, hint: str | None) -> None:
    problem = only_problem(tmp_path, text)
    assert problem.path == path
    assert message in problem.message
    assert hint is None or hint in str(problem.hint)


def test_duplicate_gpus_are_an_error_and_repeated_cpus_are_not(tmp_path: Path) -> None:
    text = "diffusion_model: {{type: multi_gpu_qwen_image_edit, params: {{device_ids: {}}}}}"
    assert "CUDA index 1 is there twice" in only_problem(tmp_path, text.format("[1, 1]")).message
    assert not problems_of(tmp_path, text.format("[cpu, cpu]"))


def test_a_bare_no_as_a_category_is_explained(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "benchmark:\n  categories: [no]\n")
    assert problem.hint == 'YAML reads the bare word no as false: put it into quotes, "no"'
    assert "(line 2)" in problem.message


def test_a_bare_no_as_a_key_is_explained(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "prompts:\n  no: {system_prompt: '', user_prompt_template: x}\n")
    assert problem.path == "prompts.no"
    assert problem.hint == 'put it into quotes: "no"'


def test_a_category_may_be_an_integer(tmp_path: Path) -> None:
    assert load(tmp_path, "benchmark: {categories: [7, '08']}").benchmark.categories == ("7", "08")


def test_a_wrong_value_does_not_hide_what_only_whole_sections_show(tmp_path: Path) -> None:
    found = problems_of(tmp_path, "scheduler: {round_size: 0, heartbeat_seconds: 9}")
    assert [problem.path for problem in found] == ["scheduler.round_size", "scheduler.dead_after_seconds"]


def test_what_only_follows_from_a_mistake_is_not_reported(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, "reward_model: {type: qwen3_vl_subprocess, params: {conda_env: [a]}}")
    assert "must be the name of a conda environment" in problem.message


def test_an_unknown_type_does_not_make_its_keys_unknown(tmp_path: Path) -> None:
    found = problems_of(tmp_path, "diffusion_model: {type: flux, params: {device_ids: [0], sead: 1}}")
    assert [problem.path for problem in found] == ["diffusion_model.type", "diffusion_model.params.sead"]


def test_a_file_name_that_names_no_pool_asks_for_a_name(tmp_path: Path) -> None:
    path = write(tmp_path, "logging: {}", "two words.yaml")
    with pytest.raises(ConfigError, match="file's name is no name for a pool"):
        load_config(path)
    assert load_config(write(tmp_path, "pool: {name: words}", "two words.yaml")).pool_name == "words"


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    problem = only_problem(tmp_path, 'logging: {"\\e[31mred": 1}')
    assert "\x1b" not in str(problem)
