"""Which optimizations the classes of the installed diffusers have, read from its source files: nothing is imported."""

from __future__ import annotations

import ast
from functools import cache

from workers.models.editors.signatures import class_source

_CACHES = ("first_block_cache", "taylorseer_cache")
_FAILS = {
    ("first_block_cache", "Flux2Transformer2DModel"): "its last blocks return one tensor and its first two",
}
"""What fails in every edit with diffusers 0.42, and why."""


@cache
def lacking(option: str, pipeline: str, denoiser: str) -> str | None:
    """Why the option does not work with a pipeline class and the class of its transformer or unet; None if it may.

    What the source does not tell shows when the option is switched on.
    """
    source, model = class_source("pipelines", pipeline), class_source("models", denoiser)
    if source is None or model is None:
        return None
    body = next(node for node in ast.parse(model).body if isinstance(node, ast.ClassDef) and node.name == denoiser)
    if option in _CACHES and "CacheMixin" not in map(ast.unparse, body.bases):
        return f"a {denoiser} has no cache between steps"
    if option in _CACHES and ".cache_context(" not in source:
        return f"a {pipeline} does not tell a cache between steps which pass is which"
    if reason := _FAILS.get((option, denoiser)):
        return f"does not work with a {denoiser}: {reason}"
    if option == "compile_repeated_blocks" and not any(_names_blocks(node) for node in body.body):
        return f"a {denoiser} names no repeated blocks to compile"
    return None


def _names_blocks(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_repeated_blocks"
