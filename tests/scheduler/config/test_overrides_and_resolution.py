"""What the command line puts in, and the resolved config that a run leaves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scheduler.config.loading import Overrides, load_config
from scheduler.config.problems import ConfigError
from scheduler.config.requests import edit_parameters
from tests.scheduler.config.old_configs import COMPLETE, MULTI_GPU, MULTI_GPU_SUBPROCESS, SINGLE_GPU
from tests.scheduler.config.written import load, problems_of, write

EVERY = Overrides(
    data=Path("other.json"),
    categories=("a", "b"),
    limit=3,
    output_dir=Path("elsewhere"),
    editor_model="./checkpoint/two",
    pool_name="pool-2",
    residency="swap",
    max_failures=0.05,
    log_level="DEBUG",
)


@pytest.mark.parametrize("text", [COMPLETE, "logging:\n", "diffusion_model:\n  params:\n"])
def test_the_command_line_wins(tmp_path: Path, text: str) -> None:
    config = load(tmp_path, text, EVERY)
    assert config.benchmark.data_path == Path("other.json")
    assert config.benchmark.categories == ("a", "b")
    assert config.benchmark.limit == 3
    assert config.evaluation.output_dir == Path("elsewhere")
    assert config.diffusion_model.params.model_name == "./checkpoint/two"
    assert config.pool_name == config.pool.name == "pool-2"
    assert config.scheduler.residency == "swap"
    assert config.scheduler.max_failures == 0.05
    assert config.logging.level == "DEBUG"


def test_a_wrong_option_is_reported_with_its_name(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "logging: {}", Overrides(limit=0))
    assert problem.path == "benchmark.limit"
    assert str(problem) == "--limit (benchmark.limit): must be 1 to 1000000000, found 0"


def test_problems_of_options_are_not_the_files(tmp_path: Path) -> None:
    def text(config: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, config, Overrides(limit=0, categories=("a/b",)))
        return str(caught.value)

    of_options = text("logging: {}")
    assert of_options.startswith("command line: 2 problems\n")
    assert "\n  --categories (benchmark.categories[0]): must not" in of_options
    assert text("logging: {level: x}").startswith(f"{tmp_path / 'config.yaml'} and command line: 3 problems\n")


def test_an_option_does_not_hide_that_its_section_is_no_mapping(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "benchmark: [a]", Overrides(limit=5))
    assert problem.path == "benchmark"


def test_logs_follow_the_output_folder_unless_they_have_one_of_their_own(tmp_path: Path) -> None:
    assert load(tmp_path, "logging: {}", Overrides(output_dir=Path("x"))).logging.log_dir == Path("x/logs")
    assert load(tmp_path, "logging: {log_dir: y}", Overrides(output_dir=Path("x"))).logging.log_dir == Path("y")


@pytest.mark.parametrize(
    ("written", "log_dir", "moved"),
    [
        ("outputs", "outputs/logs", "elsewhere/logs"),
        ("outputs", "./outputs/", "elsewhere"),
        ("outputs/", "outputs/x/../logs/deep", "elsewhere/logs/deep"),
        ("/data/runs", "/data/runs/logs", "elsewhere/logs"),
        ("~/runs", "~/runs/logs", "elsewhere/logs"),
        (None, "outputs/logs", "elsewhere/logs"),
        ("outputs", "outputs-2/logs", "outputs-2/logs"),
        ("outputs", "outputs/../logs", "outputs/../logs"),
        ("outputs", "/var/log/bench", "/var/log/bench"),
    ],
)
def test_the_output_folder_takes_the_logs_along_that_lie_in_the_one_of_the_file(
    tmp_path: Path, written: str | None, log_dir: str, moved: str
) -> None:
    text = f"logging: {{log_dir: {log_dir}}}\n" + (f"evaluation: {{output_dir: {written}}}" if written else "")
    assert load(tmp_path, text).log_dir == Path(log_dir).expanduser()
    assert load(tmp_path, text, Overrides(output_dir=Path("elsewhere"))).log_dir == Path(moved)


def test_the_pool_is_called_as_the_file(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, "logging: {}", "six_gpus.yaml")).pool.name == "six_gpus"


@pytest.mark.parametrize("text", [COMPLETE, SINGLE_GPU, MULTI_GPU, MULTI_GPU_SUBPROCESS])
def test_the_resolved_config_loads_to_an_equal_one(tmp_path: Path, text: str) -> None:
    config = load(tmp_path, text, EVERY)
    resolved = config.as_resolved_yaml()
    again = load_config(write(tmp_path, resolved, "again.yaml"))
    assert again == config
    assert again.as_resolved_yaml() == resolved
    assert again.notices == ()


def test_the_resolved_config_holds_defaults_and_built_in_prompts(tmp_path: Path) -> None:
    plain = yaml.safe_load(load(tmp_path, "logging: {}").as_resolved_yaml())
    assert plain["diffusion_model"]["type"] == "qwen_image_edit"
    assert plain["diffusion_model"]["params"]["num_inference_steps"] == 50
    assert plain["scheduler"]["dead_after_seconds"] == 10.0
    assert set(plain["prompts"]) == {"物理", "环境", "社会", "因果", "指代", "default"}


def test_configs_that_differ_are_not_equal(tmp_path: Path) -> None:
    assert load(tmp_path, "scheduler: {round_size: 2}") != load(tmp_path, "scheduler: {round_size: 3}")
    assert load(tmp_path, "reward_model: {params: {seed: 1}, class_path: a.B}") != load(
        tmp_path, "reward_model: {params: {seed: 2}, class_path: a.B}"
    )


WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), exclude_characters="{}/\\\ufffe\uffff"),
    min_size=1,
    max_size=20,
)
TEXTS = st.one_of(
    WORDS, st.sampled_from(["no", "1e-3", "2024-01-01", "010", "~", " ", "a: b", "x\n  y\n", "\ny", "- a", "é\x85a"])
)
PROMPTS = st.dictionaries(
    WORDS.filter(lambda name: name not in {".", ".."}),
    st.fixed_dictionaries({"system_prompt": TEXTS, "user_prompt_template": TEXTS}),
    max_size=3,
)


@pytest.mark.slow
@given(
    categories=st.lists(WORDS.filter(lambda name: name not in {".", ".."}), min_size=1, max_size=3, unique=True),
    prompts=PROMPTS,
    negative=TEXTS,
    scale=st.floats(0, 100),
    devices=st.one_of(st.none(), st.lists(st.integers(0, 9), min_size=1, unique=True), st.just(["cpu", "cpu"])),
    failures=st.one_of(st.none(), st.integers(0, 9), st.floats(0, 1)),
)
def test_any_config_survives_being_written_and_read(**values: Any) -> None:
    plain = {
        "benchmark": {"categories": values["categories"], "data_path": "~/x"},
        "diffusion_model": {
            "type": "multi_gpu_qwen_edit",
            "params": {
                "negative_prompt": values["negative"],
                "true_cfg_scale": values["scale"],
                "device_ids": values["devices"],
            },
        },
        "prompts": values["prompts"],
        "scheduler": {"max_failures": values["failures"]},
    }
    with tempfile.TemporaryDirectory() as folder:
        first = load_config(write(Path(folder), yaml.safe_dump(plain, allow_unicode=True, default_style='"')))
        assert first.benchmark.categories == tuple(values["categories"])
        assert edit_parameters(first)["negative_prompt"] == values["negative"]
        assert load_config(write(Path(folder), first.as_resolved_yaml())) == first


def test_problems_stay_one_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "logging: {level: X, lvl: 1}"))
    assert len(caught.value.problems) == 2
    assert str(caught.value).startswith(f"{tmp_path / 'config.yaml'}: 2 problems")
