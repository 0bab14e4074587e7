"""The files under ``configs/``: they load, and the template shows every key there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.config.catalog import SECTIONS, all_keys, classes
from scheduler.config.layout import Gpu, resolve_layout
from scheduler.config.loading import load_config
from scheduler.config.values import Section
from tests.scheduler.config.written import load

CONFIGS = Path(__file__).parents[3] / "configs"
TEMPLATE = (CONFIGS / "template.yaml").read_text(encoding="utf-8")

SIX = [Gpu(index, "a GPU", 80 << 30) for index in range(6)]


def section_of_template(name: str) -> str:
    """The lines from a section's key to the next line at the left margin that is no comment."""
    found = re.search(rf"^(?:# )?{name}:\n(?:(?:#|  .*|$).*\n)*", TEMPLATE, flags=re.MULTILINE)
    assert found, name
    return found.group()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_loads_without_a_notice(path: Path) -> None:
    assert load_config(path).notices == ()


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_config_says_first_what_it_is_for(path: Path) -> None:
    assert len(re.match(r"(?:#.*\n)*", path.read_text(encoding="utf-8")).group()) > 100  # type: ignore[union-attr] # it always matches


@pytest.mark.parametrize("key", sorted({(key.path.split(".")[0], key.name) for key in all_keys()}))
def test_the_template_shows_every_key_in_its_section(key: tuple[str, str]) -> None:
    section, name = key
    text = section_of_template(section) + (section_of_template("diffusion_model") if section == "reward_model" else "")
    assert re.search(rf"^[ #-]*{name}:", text, flags=re.MULTILINE), f"{section}: {name}"


def test_the_template_shows_every_type() -> None:
    editors = (
        "qwen_image_edit",
        "multi_gpu_qwen_image_edit",
        "multi_gpu_qwen_edit",
        "diffusers",
        "identity",
        "simulated",
    )
    for name in editors:
        assert name in section_of_template("diffusion_model")
    for name in ("qwen3_vl", "qwen3_vl_subprocess", "simulated"):
        assert name in section_of_template("reward_model")


def test_the_template_shows_the_defaults(tmp_path: Path) -> None:
    template, empty = (
        load_config(CONFIGS / "template.yaml"),
        load(tmp_path, "benchmark: {data_path: data/benchmark.json}"),
    )
    assert template.as_resolved_yaml() == empty.as_resolved_yaml().replace("name: config", "name: template")


def test_every_commented_key_of_the_template_is_a_key() -> None:
    known = {key.name for key in all_keys()} | set(SECTIONS) | {"default", "my_category", "another_category"}
    named = set(re.findall(r"^ *# +([a-z]\w*):(?: |$)", TEMPLATE, flags=re.MULTILINE))
    assert named - known <= {"instruction", "quality", "auto"}


def test_every_field_has_a_description_and_a_default() -> None:
    for key in all_keys():
        assert key.field.description, key.path
        assert key.field.description.endswith((".", ")")), key.path
        assert not key.field.is_required(), key.path
    for section in SECTIONS:
        for kind in classes(section):
            assert issubclass(kind, Section)
            assert kind.purpose


def test_the_gpu_configs_have_the_layout_that_they_promise() -> None:
    for visible in (SIX[:1], SIX):
        single = resolve_layout(load_config(CONFIGS / "single_gpu.yaml"), visible)
        assert (single.editors, single.rewards, single.residency) == (("cuda:0",), ("cuda:0",), "swap")
    for name in ("multi_gpu.yaml", "multi_gpu_isolated.yaml"):
        layout = resolve_layout(load_config(CONFIGS / name), SIX)
        assert len(layout.editors) == len(layout.rewards) == 6
        assert resolve_layout(load_config(CONFIGS / name), [*SIX, Gpu(6, "a GPU", 0)]).rewards == ("cuda:6",)


def test_the_cpu_configs_need_no_gpu() -> None:
    for name in ("demo.yaml", "risebench.yaml"):
        layout = resolve_layout(load_config(CONFIGS / name), [])
        assert (layout.editors, layout.rewards, layout.residency) == (("cpu", "cpu"), ("cpu",), "resident")


def test_risebench_is_asked_in_english_whatever_the_category() -> None:
    prompts = load_config(CONFIGS / "risebench.yaml").prompts
    rendered = prompts.for_category("causal_reasoning").templates[0].render(None, "Draw it roasted.")
    assert "Draw it roasted." in rendered.user
    assert '{"score": <a number from 0 to 10>' in rendered.user
