"""Checks that what optimizations need exists: packages, a compiler, files. Nothing is imported."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import sysconfig
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from scheduler.config.checks.pipeline_checks import lacking_option
from scheduler.config.document import Config
from scheduler.config.models import ModelSection
from scheduler.config.problems import did_you_mean, shown
from scheduler.config.requests import is_local_file, optimizations
from workers.models.fitting import QUANTIZATION_PACKAGES

Refusal = tuple[str, str, str | None]
"""The option, what is wrong, and a hint."""

_NEEDED_PARTS = {
    "first_block_cache": ("diffusers", "hooks/first_block_cache.py"),
    "taylorseer_cache": ("diffusers", "hooks/taylorseer_cache.py"),
    "fp8": ("diffusers", "hooks/layerwise_casting.py"),
    "attention_backend": ("diffusers", "models/attention_dispatch.py"),
    "cache_dit": ("cache_dit", ""),
    "lightning_lora": ("peft", ""),
    "lora": ("peft", ""),
}
"""The package, and the file of it, that an option needs."""

_BACKENDS_ON_CPU = ("native", "_native_math", "_native_flash", "flex")
_LEAVE_OUT = "leave it out"


def refused_optimizations(config: Config) -> Iterator[Refusal]:
    """The optimizations that are on and can't work here."""
    values = dict(config.diffusion_model.params)
    on = {name: value for group in optimizations(config).values() for name, value in group.items()}
    on.pop("quantization", None)  # a key by itself, which rewards have too
    for name, value in on.items():
        if reason := lacking_option(config.diffusion_model, name):
            yield (name, reason, _LEAVE_OUT)
            continue
        if refusal := _missing_part(name) or _missing_for(name, value, values):
            yield (name, *refusal)


def refused_quantization(section: ModelSection) -> tuple[str, str | None] | None:
    """Why the weights of an editor or a reward cannot be quantized here, and a hint; None if they can, or are not."""
    params = dict(section.params)
    key, kind = section.declaration.key("quantization"), params.get("quantization")
    if kind is None or key is None or key.affects != "load":
        return None
    if kind == "nf4" and "cpu" in (params["device_ids"] or (params["device"],)):
        return "nf4 needs a GPU", "on a CPU there are int8 and float8"
    package = QUANTIZATION_PACKAGES[kind]
    if _folder(package) is None:
        return f"needs the package {package}, which is not installed", _LEAVE_OUT
    return None


def _missing_part(name: str) -> tuple[str, str | None] | None:
    package, part = _NEEDED_PARTS.get(name, ("diffusers", ""))
    folder = _folder(package)
    if folder is None:
        return f"needs the package {package}, which is not installed", _LEAVE_OUT
    if not (folder / part).exists():
        return f"{package} {metadata.version(package)}, which is installed, does not have it", _LEAVE_OUT
    return None


def _missing_for(name: str, value: Any, params: Mapping[str, Any]) -> tuple[str, str | None] | None:
    devices = params["device_ids"] or (params["device"],)
    if name == "compile_repeated_blocks":
        return _missing_for_compiling(on_gpu=any(device != "cpu" for device in devices))
    if name == "attention_backend":
        return _missing_for_attention(value, on_cpu="cpu" in devices)
    scale = params.get("true_cfg_scale")
    if name == "cache_dit" and isinstance(scale, int | float) and scale <= 1:
        return "takes every second pass for one without the instruction", "set true_cfg_scale above 1"
    return _missing_lora(value) if name == "lightning_lora" else None


def refused_loras(config: Config) -> Iterator[tuple[int, str, str | None]]:
    """The LoRAs that can't be added here: the number of each in its list, what is wrong, and a hint."""
    section = config.diffusion_model
    key = section.declaration.key("lora")
    given = dict(section.params)["lora"] if key is not None and key.affects == "load" and key.keys else ()
    for number, lora in enumerate(given):
        path = dict(lora).get("path")
        if path is not None and (refusal := _missing_part("lora") or _missing_lora(path)):
            yield (number, *refusal)


def _missing_for_compiling(*, on_gpu: bool) -> tuple[str, str | None] | None:
    compiler = os.environ.get("CXX") or "g++"
    if shutil.which(compiler) is None:
        return f"needs a C++ compiler, and there is no {shown(compiler)}", "install one, or leave it out"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "needs Python's header files (Python.h), which are not installed", "install them, or leave it out"
    if on_gpu and _folder("triton") is None:
        return "needs the package triton on a GPU, which is not installed", _LEAVE_OUT
    return None


def _missing_for_attention(name: str, *, on_cpu: bool) -> tuple[str, str | None] | None:
    known = _attention_backends()
    if name not in known:
        version = metadata.version("diffusers")
        return f"diffusers {version} knows no attention backend {shown(name)}", did_you_mean(name, sorted(known))
    if on_cpu and name not in _BACKENDS_ON_CPU:
        return f"{name} works on a GPU only", f"on a CPU there are {', '.join(_BACKENDS_ON_CPU)}"
    package = _package_of_backend(name)
    if package is not None and _folder(package) is None:
        return f"{name} needs the package {package}, which is not installed", _LEAVE_OUT
    return None


def _package_of_backend(name: str) -> str | None:
    if name.endswith("_hub"):
        return "kernels"
    if name in {"_flash_3", "_flash_varlen_3"}:
        return "flash_attn_interface"
    packages = {"flash": "flash_attn", "_sage": "sageattention", "sage": "sageattention", "xformers": "xformers"}
    packages |= {"_native_npu": "torch_npu", "_native_xla": "torch_xla"}
    return next((package for prefix, package in packages.items() if name.startswith(prefix)), None)


@cache
def _attention_backends() -> frozenset[str]:
    """The names in the source of the installed diffusers, which is not run."""
    folder = _folder("diffusers")
    if folder is None:
        return frozenset()
    tree = ast.parse((folder / "models/attention_dispatch.py").read_text(encoding="utf-8"))
    return frozenset(
        entry.value.value
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "AttentionBackendName"
        for entry in node.body
        if isinstance(entry, ast.Assign)
        and isinstance(entry.value, ast.Constant)
        and isinstance(entry.value.value, str)
    )


def _missing_lora(name: str) -> tuple[str, str | None] | None:
    wanted = "give a .safetensors file, or OWNER/NAME/FILE.safetensors on the hub"
    if not name.endswith(".safetensors"):
        return f"{shown(name)} names no .safetensors file", wanted
    if is_local_file(name):
        there = Path(name).expanduser().is_file()
        return None if there else (f"there is no file {shown(str(Path(name).expanduser().absolute()))}", wanted)
    return None if name.count("/") >= 2 else (f"there is no file {shown(name)}", wanted)


def _folder(package: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None
