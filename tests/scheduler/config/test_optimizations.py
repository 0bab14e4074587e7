"""The options that make an editor faster: what is refused before a run, and what is told of those that were on."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.config.checks.environment import Environment
from scheduler.config.document import Config
from scheduler.config.loading import Overrides
from scheduler.config.problems import Problem
from scheduler.config.requests import editor_spec, optimizations
from scheduler.store.manifest import notes
from tests.scheduler.config.written import load, only_problem, problems_of

TEXT = "diffusion_model: {{params: {{model_name: ./none, device: {device}, {more}optimizations: {{{options}}}}}}}\n"
REWARD = "reward_model: {type: simulated}\n"


def written(options: str, device: str = "cpu", more: str = "") -> str:
    return TEXT.format(options=options, device=device, more=more) + REWARD


def refused(folder: Path, options: str, device: str = "cpu", more: str = "") -> dict[str, Problem]:
    """The option's name to what is wrong with it, in the environment of the tests."""
    (folder / "data.json").write_text("{}", encoding="utf-8")
    found = problems_of(folder, written(options, device, more), Overrides(data=folder / "data.json"), Environment())
    prefix = "diffusion_model.params.optimizations."
    return {problem.path.removeprefix(prefix): problem for problem in found if problem.path.startswith(prefix)}


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Packages that are there, and that nobody may import."""
    for package in packages:
        (folder / "site" / package).mkdir(parents=True)
        (folder / "site" / package / "__init__.py").write_text("raise RuntimeError('imported')\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(str(folder / "site"))


def config_with(folder: Path, options: str, kind: str = "qwen_image_edit") -> Config:
    return load(folder, f"diffusion_model: {{type: {kind}, params: {{optimizations: {{{options}}}}}}}\n" + REWARD)


@pytest.mark.parametrize(
    "options",
    [
        "keep_prompt_embeddings: true",
        "attention_backend: native",
        "attention_backend: _native_math",
        "first_block_cache: 0.1",
        "taylorseer_cache: 3",
        "fp8: true",
        "cache_dit: false, lightning_lora: null",
    ],
)
def test_what_works_on_a_cpu_is_accepted(tmp_path: Path, options: str) -> None:
    assert not refused(tmp_path, options)


@pytest.mark.parametrize(
    ("options", "device", "message", "hint"),
    [
        ("attention_backend: nativ", "cpu", "knows no attention backend 'nativ'", "did you mean `native`?"),
        ("attention_backend: _native_cudnn", "cpu", "_native_cudnn works on a GPU only", "_native_math"),
        ("attention_backend: flash", "cuda", "flash needs the package flash_attn, which", "leave it out"),
        ("attention_backend: _flash_3", "cuda", "needs the package flash_attn_interface", "leave it out"),
        ("attention_backend: sage_hub", "cuda", "needs the package kernels", "leave it out"),
        ("attention_backend: _sage_qk_int8_pv_fp16_cuda", "cuda", "package sageattention", "leave it out"),
        ("cache_dit: true", "cpu", "needs the package cache_dit, which is not installed", "leave it out"),
        ("lightning_lora: a/b/c.safetensors", "cpu", "needs the package peft, which is not installed", "leave it out"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, device: str, message: str, hint: str
) -> None:
    for package in ("flash_attn", "flash_attn_interface", "kernels", "sageattention", "cache_dit", "peft"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    name = options.split(":", maxsplit=1)[0]
    found = refused(tmp_path, options, device)
    assert message in found[name].message
    assert hint in (found[name].hint or "")


def test_a_part_that_the_installed_diffusers_lacks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "diffusers")
    found = refused(tmp_path, "first_block_cache: 0.1, fp8: true, attention_backend: native")
    assert found.keys() == {"first_block_cache", "fp8", "attention_backend"}
    assert all("which is installed, does not have it" in problem.message for problem in found.values())


def test_compiling_needs_a_compiler_and_on_a_gpu_triton(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = refused(tmp_path, "compile_repeated_blocks: true")["compile_repeated_blocks"]
    assert "needs a C++ compiler, and there is no 'no-such-compiler'" in found.message
    monkeypatch.setenv("CXX", shutil.which("true") or "true")
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    assert not refused(tmp_path, "compile_repeated_blocks: true")
    monkeypatch.setitem(sys.modules, "triton", None)  # as if it were not installed
    assert "triton" in refused(tmp_path, "compile_repeated_blocks: true", "cuda")["compile_repeated_blocks"].message
    (tmp_path / "Python.h").unlink()
    assert "Python.h" in refused(tmp_path, "compile_repeated_blocks: true")["compile_repeated_blocks"].message


def test_cache_dit_needs_guidance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "cache_dit")
    assert not refused(tmp_path, "cache_dit: true")
    found = refused(tmp_path, "cache_dit: true", more="true_cfg_scale: 1.0, ")["cache_dit"]
    assert found.hint == "set true_cfg_scale above 1"


def test_a_lora_is_a_file_here_or_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, "peft")
    file = tmp_path / "lightning.safetensors"
    assert "there is no file" in refused(tmp_path, f"lightning_lora: {file}")["lightning_lora"].message
    file.touch()
    assert not refused(tmp_path, f"lightning_lora: {file}")
    assert not refused(tmp_path, "lightning_lora: lightx2v/Qwen-Image-Lightning/four-steps.safetensors")
    for name in ("lightx2v/Qwen-Image-Lightning", "four-steps.safetensors", str(tmp_path)):
        assert "file" in refused(tmp_path, f"lightning_lora: {name}")["lightning_lora"].message


def test_a_lora_here_has_an_absolute_path_for_the_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "l.safetensors").touch()
    spec = editor_spec(config_with(tmp_path, "lightning_lora: l.safetensors"))
    assert spec.params["optimizations"] == {"lightning_lora": str(tmp_path / "l.safetensors")}
    spec = editor_spec(config_with(tmp_path, "lightning_lora: a/b/l.safetensors"))
    assert spec.params["optimizations"] == {"lightning_lora": "a/b/l.safetensors"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("first_block_cache: 0.1, taylorseer_cache: 3", "only one cache at a time"),
        ("fp8: true, compile_repeated_blocks: true", "can't be compiled with profit"),
    ],
)
def test_what_does_not_go_together_is_reported(tmp_path: Path, options: str, message: str) -> None:
    assert message in only_problem(tmp_path, written(options)).message


def test_another_set_of_options_is_another_model(tmp_path: Path) -> None:
    plain, fast = (editor_spec(config_with(tmp_path, options)) for options in ("", "first_block_cache: 0.1"))
    assert plain != fast
    assert plain == editor_spec(config_with(tmp_path, "fp8: false"))


@pytest.mark.parametrize(
    ("options", "kind", "named"),
    [
        (
            "fp8: true, first_block_cache: 0.1, attention_backend: native",
            "qwen_image_edit",
            "first_block_cache 0.1, fp8",
        ),
        ("attention_backend: native, keep_prompt_embeddings: true", "qwen_image_edit", None),
        ("attention_backend: sage_hub, fp8: true", "qwen_image_edit", "attention_backend sage_hub, fp8"),
        ("fp8: true", "identity", None),  # it has no weights
    ],
)
def test_a_report_says_first_which_options_changed_its_edits(
    tmp_path: Path, options: str, kind: str, named: str | None
) -> None:
    found = [note for note in notes(config_with(tmp_path, options, kind)) if "optimizations" in note]
    text = "The editor ran with approximate optimizations, which change its edits:"
    assert found == ([f"{text} {named}."] if named else [])


QUANTIZING = ("sage", "sage_blackwell_hub", "_sage_qk_int8_pv_fp16_triton", "_other_int8", "attention_fp8")


@pytest.mark.parametrize("name", [*QUANTIZING, "native", "_native_cudnn", "flash", "_flash_3", "flash_4_hub", "flex"])
def test_an_attention_backend_that_quantizes_is_approximate(tmp_path: Path, name: str) -> None:
    found = optimizations(config_with(tmp_path, f"attention_backend: {name}"))
    assert found["approximate" if name in QUANTIZING else "exact"] == {"attention_backend": name}


LORAS = """diffusion_model:
  type: qwen_image_edit
  params:
    model_name: ./none
    device: cpu
    lora:
      - {path: LOCAL, weight: 0.5}
      - path: owner/name/more.safetensors
reward_model: {type: simulated}
"""


def test_loras_are_part_of_the_model_and_no_optimization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").touch()
    config = load(tmp_path, LORAS.replace("LOCAL", "mine.safetensors"))
    assert editor_spec(config).params["lora"] == [
        {"path": str(tmp_path / "mine.safetensors"), "weight": 0.5},
        {"path": "owner/name/more.safetensors"},
    ]
    assert optimizations(config) == {"exact": {}, "approximate": {}}
    assert "lora" not in editor_spec(load(tmp_path, "diffusion_model: {params: {lora: []}}")).params
    again = load(tmp_path, config.as_resolved_yaml())
    assert editor_spec(again) == editor_spec(config)


def test_every_mistake_in_a_lora_is_named_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.json").write_text("{}", encoding="utf-8")
    overrides = Overrides(data=tmp_path / "data.json")

    def found(text: str) -> list[str]:
        problems = problems_of(tmp_path, text, overrides, Environment())
        return [f"{problem.path}: {problem.message}" for problem in problems if ".lora" in problem.path]

    installed(tmp_path, monkeypatch, "peft")
    assert found(LORAS.replace("LOCAL", "./no.safetensors")) == [
        f"diffusion_model.params.lora[0].path: there is no file '{Path.cwd() / 'no.safetensors'}' (line 7)"
    ]
    assert found(LORAS.replace("path: LOCAL, weight: 0.5", "weight: 50, strength: 1")) == [
        "diffusion_model.params.lora[0].weight: must be -10 and 10, found 50 (line 7)",
        "diffusion_model.params.lora[0].strength: unknown key (line 7); known here: path, weight",
        "diffusion_model.params.lora[0].path: is missing (line 7)",
    ]
    monkeypatch.setitem(sys.modules, "peft", None)  # as if it were not installed
    (first, second) = found(LORAS)
    assert "needs the package peft, which is not installed" in first
    assert second.startswith("diffusion_model.params.lora[1].path")


def test_the_options_that_are_on_are_distinguished(tmp_path: Path) -> None:
    config = config_with(tmp_path, "fp8: true, attention_backend: native")
    assert optimizations(config) == {"exact": {"attention_backend": "native"}, "approximate": {"fp8": True}}


def test_a_set_of_optimizations_is_what_its_name_stands_for(tmp_path: Path) -> None:
    def asked(value: str) -> tuple[Any, Any]:
        config = load(tmp_path, f"diffusion_model: {{params: {{optimizations: {value}}}}}")
        return optimizations(config), editor_spec(config)

    exact = "{compile_repeated_blocks: true, keep_prompt_embeddings: true}"
    assert asked("exact") == asked(exact)
    assert asked("approximate") == asked(exact[:-1] + ", first_block_cache: 0.08}")
    assert asked("exact")[0]["approximate"] == {}
    assert asked("approximate")[0]["approximate"] == {"first_block_cache": 0.08}
