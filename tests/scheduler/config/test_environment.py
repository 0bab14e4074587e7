"""What has to be there: data, models, environments, classes, places to write to."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.config.checks.environment import Environment, category_problems, environment_problems
from scheduler.config.document import Config
from scheduler.config.interpreters import conda_environments, worker_command
from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import Problem
from tests.scheduler.config.written import load, problems_of, write

SIMULATED = "diffusion_model: {type: simulated}\nreward_model: {type: simulated}\n"
REWARD_ELSEWHERE = "diffusion_model: {{type: identity}}\nreward_model: {{type: qwen3_vl_subprocess, params: {}}}\n"


def in_environment(folder: Path, text: str) -> dict[str, Problem]:
    (folder / "data.json").write_text("{}", encoding="utf-8")
    overrides = Overrides(data=folder / "data.json")
    return {problem.path: problem for problem in problems_of(folder, text, overrides, Environment())}


def test_a_simulated_run_needs_nothing_but_data(tmp_path: Path) -> None:
    assert not in_environment(tmp_path, SIMULATED)


def test_without_data_there_is_a_problem_unless_none_is_needed(tmp_path: Path) -> None:
    config = load(tmp_path, SIMULATED)
    assert [problem.path for _, problem in environment_problems(config, Environment())] == ["benchmark.data_path"]
    assert not list(environment_problems(config, Environment(data=False)))


def test_a_data_file_that_is_not_there_suggests_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "version_2.json").write_text("{}", encoding="utf-8")
    text = f"{SIMULATED}benchmark: {{data_path: {tmp_path}/version2.json}}"
    (problem,) = problems_of(tmp_path, text, environment=Environment())
    assert problem.path == "benchmark.data_path"
    assert "(line 3)" in problem.message
    assert problem.hint == f"did you mean `{tmp_path}/version_2.json`?"


@pytest.mark.parametrize("name", ["x" * 5000, "config.yaml/data.json"])
def test_a_path_that_cannot_exist_is_reported(tmp_path: Path, name: str) -> None:
    text = f"{SIMULATED}benchmark: {{data_path: {tmp_path}/{name}}}"
    (problem,) = problems_of(tmp_path, text, environment=Environment())
    assert problem.path == "benchmark.data_path"


def test_variables_in_a_path_are_not_filled_in_and_that_is_said(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f"{SIMULATED}benchmark: {{data_path: $HOME/x}}", environment=Environment())
    assert "variables are not filled in" in str(problem.hint)


def test_a_category_that_the_data_lacks_is_named_with_the_nearest(tmp_path: Path) -> None:
    config = load(tmp_path, "benchmark: {categories: [spatial, 物理]}")
    (problem,) = category_problems(config, ["物理", "spatial_reasoning"])
    assert problem.path == "benchmark.categories"
    assert "'spatial'" in problem.message
    assert problem.hint == "did you mean `spatial_reasoning`?"
    assert not category_problems(load(tmp_path, "benchmark: {}"), [])


@pytest.mark.parametrize("written", ["物理,环境", "物理，环境", "物理、 环境"])
def test_categories_that_are_one_word_with_commas_get_a_hint(tmp_path: Path, written: str) -> None:
    config = load(tmp_path, f"benchmark: {{categories: ['{written}']}}")
    (problem,) = category_problems(config, ["物理", "环境"])
    assert problem.hint == "separate categories with spaces: `--categories 物理 环境`; in a file, write a list"


def test_checks_of_the_callers_own_see_the_config_and_add_problems(tmp_path: Path) -> None:
    def check(config: Config) -> Iterator[Problem]:
        yield Problem("benchmark.data_path", f"limit is {config.benchmark.limit}")
        yield Problem("benchmark.limit", "hidden: told already")

    (tmp_path / "d").mkdir()
    text = f"{SIMULATED}benchmark: {{data_path: {tmp_path}/d, limit: -1}}"
    found = problems_of(tmp_path, text, environment=Environment(more=(check,)))
    assert [(problem.path, problem.message) for problem in found] == [
        ("benchmark.limit", "must be 1 to 1000000000, found -1 (line 3)"),
        ("benchmark.data_path", "limit is None (line 3)"),
    ]


def test_a_conda_environment_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "envs" / "qwen3_vl_env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    monkeypatch.setenv("CONDA_ENVS_PATH", str(tmp_path / "envs"))
    assert conda_environments()["qwen3_vl_env"] == python
    good = load(tmp_path, REWARD_ELSEWHERE.format("{conda_env: qwen3_vl_env}"))
    assert worker_command(good.reward_model) == [str(python), "-s"]
    found = in_environment(tmp_path, REWARD_ELSEWHERE.format("{conda_env: qwen3_vl, model_name: ./none}"))
    assert (found["reward_model.params.conda_env"].hint or "").startswith("did you mean `qwen3_vl_env`?")


def test_a_python_that_is_no_program_is_a_problem(tmp_path: Path) -> None:
    text = REWARD_ELSEWHERE.format(f"{{python: {tmp_path}/bin/python, model_name: ./none}}")
    assert "is no program" in in_environment(tmp_path, text)["reward_model.params.python"].message
    text = REWARD_ELSEWHERE.format(f"{{python: {sys.executable}, model_name: ./none}}")
    assert "reward_model.params.python" not in in_environment(tmp_path, text)
    assert worker_command(load(tmp_path, text).reward_model) == [sys.executable, "-s"]


def test_a_reward_without_an_environment_of_its_own_runs_in_ours(tmp_path: Path) -> None:
    assert worker_command(load(tmp_path, SIMULATED).reward_model) == [sys.executable]


OWN = "diffusion_model: {{class_path: {}, params: {{device: cpu}}}}\nreward_model: {{type: simulated}}\n"


def test_a_class_of_ones_own_is_looked_for_without_being_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "my_editors"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
    (package / "mine.py").write_text("import torch\nclass Mine: ...\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert not in_environment(tmp_path, OWN.format("my_editors.mine.Mine"))
    found = in_environment(tmp_path, OWN.format("my_editors.mine.Min"))["diffusion_model.class_path"]
    assert "has no Min" in found.message
    assert found.hint == "did you mean `Mine`?"
    assert "there is no module my_editors.his" in (
        in_environment(tmp_path, OWN.format("my_editors.his.Mine"))["diffusion_model.class_path"].message
    )
    assert "my_editors" not in sys.modules


@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("evaluation: {output_dir: FILE}", "evaluation.output_dir"),
        ("evaluation: {output_dir: FILE/below/it}", "evaluation.output_dir"),
        ("evaluation: {output_dir: /proc/nowhere}", "evaluation.output_dir"),
        ("evaluation: {output_dir: LOOP}", "evaluation.output_dir"),
        ("evaluation: {output_dir: LOOP/below/it}", "evaluation.output_dir"),
        ("evaluation: {output_dir: DANGLING}", "evaluation.output_dir"),
        ("evaluation: {output_dir: RUNS}", "evaluation.output_dir"),
        ("evaluation: {image_output_dir: FILE/images}", "evaluation.image_output_dir"),
        ("logging: {log_dir: FILE}", "logging.log_dir"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_reported_once(tmp_path: Path, section: str, path: str) -> None:
    (tmp_path / "FILE").touch()
    (tmp_path / "LOOP").symlink_to("LOOP")
    (tmp_path / "DANGLING").symlink_to("nothing")
    (tmp_path / "RUNS").mkdir()
    (tmp_path / "RUNS" / "runs").symlink_to("nothing")
    found = in_environment(tmp_path, SIMULATED + re.sub(r"[A-Z]+", rf"{tmp_path}/\g<0>", section))
    assert list(found) == [path]


def test_checking_a_place_to_write_to_leaves_nothing_there(tmp_path: Path) -> None:
    text = f"{SIMULATED}evaluation: {{output_dir: {tmp_path}/new/er}}"
    before = sorted(path.name for path in tmp_path.iterdir())
    assert not in_environment(tmp_path, text)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*before, "config.yaml", "data.json"})


def test_the_unwritable_log_folder_of_a_run_without_log_files_does_not_matter(tmp_path: Path) -> None:
    assert not in_environment(tmp_path, f"{SIMULATED}logging: {{log_dir: /proc/nowhere, save_to_file: false}}")


def test_defaults_that_stand_in_for_an_unknown_type_are_not_complained_about(tmp_path: Path) -> None:
    found = in_environment(tmp_path, "diffusion_model: {type: flux}\nreward_model: {type: simulated}\n")
    assert list(found) == ["diffusion_model.type"]


def test_a_config_that_is_right_loads_with_its_environment(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    path = write(tmp_path, f"{SIMULATED}benchmark: {{data_path: {tmp_path}/d}}")
    assert load_config(path, environment=Environment()).benchmark.data_path == tmp_path / "d"
