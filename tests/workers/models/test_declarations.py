"""Declarations of models: what a wrong one is told, and what importing them costs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace

import pytest

from protocol.messages import Role
from workers.interface import Editor, Reward
from workers.models.declaration import Key, ModelType, ignored, pick, with_keys
from workers.models.keys import EDITOR_KEYS, SHARED_EDITOR_KEYS
from workers.models.registry import MODELS, canonical_type, known_models

BRIGHTEN = ModelType("brighten", "editor", "Makes images brighter.", "brighten:Brightener", SHARED_EDITOR_KEYS)


def test_importing_every_declaration_imports_no_torch_pydantic_or_numpy() -> None:
    code = (
        "import sys; from workers.models.registry import MODELS\n"
        "assert all(registry.all() for registry in MODELS.values())\n"
        "heavy = {'torch', 'pydantic', 'numpy', 'transformers', 'diffusers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("role", MODELS)
def test_the_class_of_every_declaration_is_of_its_role(role: Role) -> None:
    for model in MODELS[role].all().values():
        module, _, name = model.target.partition(":")
        assert issubclass(getattr(importlib.import_module(module), name), Editor if role == "editor" else Reward)
        assert model.role == role


def test_every_key_has_a_meaning() -> None:
    keys = [key for registry in MODELS.values() for model in registry.all().values() for key in model.keys]
    assert not [key.name for key in (*keys, *(part for key in keys for part in key.keys)) if not key.meaning]


def test_a_declaration_without_the_keys_that_the_scheduler_reads_is_refused() -> None:
    with pytest.raises(ValueError, match=r"brighten declares no seed, enable_batch_sync: begin with the keys of every"):
        replace(
            BRIGHTEN, keys=tuple(key for key in SHARED_EDITOR_KEYS if key.name not in {"seed", "enable_batch_sync"})
        )


def test_a_declaration_with_a_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="brighten declares seed twice"):
        replace(BRIGHTEN, keys=(*SHARED_EDITOR_KEYS, Key("seed", "int")))


def test_own_keys_take_the_place_of_shared_ones_or_come_last() -> None:
    keys = with_keys(pick(EDITOR_KEYS, "dtype", "seed"), Key("strength", "float"), Key("dtype", "text", "auto"))
    assert [(key.name, key.kind) for key in keys] == [("dtype", "text"), ("seed", "int"), ("strength", "float")]


def test_keys_can_be_accepted_without_effect() -> None:
    keys = ignored(pick(EDITOR_KEYS, "dtype", "height"), "dtype")
    assert [(key.name, key.affects) for key in keys] == [("dtype", "nothing"), ("height", "run")]


def test_older_names_of_a_type_load_the_same_model() -> None:
    for name in ("multi_gpu_qwen_image_edit", "multi_gpu_qwen_edit", "qwen_image_edit"):
        assert canonical_type("editor", name) == "qwen_image_edit"
    assert canonical_type("reward", "qwen3_vl_subprocess") == "qwen3_vl"
    assert canonical_type("reward", "of_another_environment") == "of_another_environment"


def test_names_that_people_write_are_corrected_to_those_on_the_hub() -> None:
    names = known_models()
    assert names["Qwen/Qwen3-VL-30B-Instruct"] == "Qwen/Qwen3-VL-30B-A3B-Instruct"
    assert names["Qwen/Qwen-Image-Edit-2509"] == "Qwen/Qwen-Image-Edit-2509"
